"""Undelivered answers: their list, and how they are brought again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmasos.database import Database, migrate
from llmasos.errors import ChannelRefused, ChannelUnavailable, InvalidRequest
from llmasos.events import Reply
from llmasos.generation import Usage
from llmasos.jobs import Jobs
from llmasos.network import shown
from llmasos.request import Queue, Request
from llmasos.settings import JobSettings
from llmasos.undelivered import DeadLetters
from workers.claims import Claims
from workers.outcomes import Outcomes
from workers.retries import DELIVERY_WAITS

ONE, TWO = "https://one.example/a?token=t", "https://two.example/b"


class Woken:
    """A dispatcher that remembers whom it woke."""

    def __init__(self) -> None:
        self.jobs: list[str] = []

    def wake(self, job_id: str, queue: Queue) -> Callable[[], None]:
        return lambda: self.jobs.append(job_id)


class Post:
    """Jobs whose answers places refuse."""

    def __init__(self, database: Database) -> None:
        self.woken = Woken()
        self.jobs = Jobs(database, self.woken, JobSettings(), ["echo"], ["https"], lambda *_: True)
        self.claims, self.outcomes = Claims(database, "test", 60), Outcomes(database)
        self.letters = DeadLetters(database, self.woken)

    def refuse(self, *addresses: str) -> str:
        """A job that is answered and whose answer these addresses refuse."""
        job_id = self.jobs.submit(Request(agent="echo", text="Hi", reply_to=addresses)).job.id
        claim = self.claims.take()
        assert claim is not None
        self.outcomes.succeed(claim, "echo", Reply(text="Ho"), Usage())
        for address in addresses:
            self.outcomes.undelivered(claim, address, ChannelRefused(address, "it answered 410"))
        self.outcomes.settle(claim)
        self.woken.jobs.clear()
        return job_id


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with Database(f"sqlite:///{tmp_path}/state.db") as database:
        migrate(database)
        yield Post(database)


def test_what_was_refused_is_listed_with_its_reason(post: Post) -> None:
    job_id = post.refuse(ONE, TWO)

    found = post.letters.latest(10)

    assert [(each.job_id, each.address, each.tries) for each in found] == [
        (job_id, ONE, 1), (job_id, TWO, 1),
    ]  # fmt: skip
    assert "410" in found[0].error


def test_an_answer_is_brought_again_when_somebody_says_so(post: Post) -> None:
    job_id = post.refuse(ONE, TWO)
    assert post.claims.take() is None

    again = post.letters.replay(job_id)

    claim = post.claims.take()
    assert claim is not None
    assert (claim.job.id, claim.only_delivery, claim.addresses) == (job_id, True, (ONE, TWO))
    assert len(again) == 2
    assert post.woken.jobs == [job_id, job_id]
    assert post.letters.latest(10) == []


def test_all_are_brought_again_at_once(post: Post) -> None:
    jobs = {post.refuse(ONE), post.refuse(TWO)}

    assert {each.job_id for each in post.letters.replay(None)} == jobs
    assert post.letters.replay(None) == []


def test_a_job_without_such_an_answer_is_named(post: Post) -> None:
    with pytest.raises(InvalidRequest, match="no answer that waits"):
        post.letters.replay("0000")


def test_a_place_that_is_silent_is_tried_for_a_day_and_then_given_up(post: Post) -> None:
    job_id = post.jobs.submit(Request(agent="echo", text="Hi", reply_to=(ONE,))).job.id
    claim = post.claims.take()
    assert claim is not None
    post.outcomes.succeed(claim, "echo", Reply(text="Ho"), Usage())
    silent = ChannelUnavailable(ONE, "it did not answer")

    waits = [
        wait
        for _ in range(len(DELIVERY_WAITS))
        if (wait := post.outcomes.undelivered(claim, ONE, silent)) is not None
    ]
    assert post.letters.latest(10) == []
    last = post.outcomes.undelivered(claim, ONE, silent)

    assert 0.9 * 86_400 < sum(waits) < 1.1 * 86_400
    assert last is None
    assert [each.job_id for each in post.letters.latest(10)] == [job_id]


@pytest.mark.parametrize(("address", "logged"), [
    ("slack:C1", "slack:C1"),
    (ONE, "https://one.example/…"),
    ("https://me:pw@one.example:8443/a#b", "https://one.example:8443/…"),
    ("https://one.example?token=t", "https://one.example/…"),
])  # fmt: skip
def test_a_log_shows_no_more_of_a_url_than_where_it_leads(address: str, logged: str) -> None:
    assert shown(address) == logged
