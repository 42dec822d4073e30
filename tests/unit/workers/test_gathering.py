from collections.abc import Iterator
from pathlib import Path

import pytest

from llmasos.channels import Gathered
from llmasos.conversations import Conversations
from llmasos.database import Database, migrate
from llmasos.errors import LeaseLost
from llmasos.generation import Message
from llmasos.jobs import Jobs
from llmasos.request import Attachment, Request
from llmasos.settings import JobSettings
from workers.claims import Claim, Claims
from workers.gathering import fill
from workers.inline import InlineDispatcher


class Place:
    """A source that has a file's text, and one message that was said before."""

    name = "place"

    def __init__(self) -> None:
        self.asked: list[bool] = []

    def gather(self, request: Request, begun: bool) -> Gathered:
        self.asked.append(begun)
        files = (Attachment(name="a.txt", text="abc"),)
        earlier = ((50.0, Message(role="user", content="It broke", author="Ben")),)
        return Gathered(request.model_copy(update={"attachments": files}), earlier)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path / 'state.db'}") as made:
        migrate(made)
        yield made


def claimed(database: Database, **fields: object) -> Claim:
    jobs = Jobs(database, InlineDispatcher(), JobSettings(), ("echo",), (), lambda *_: True)
    jobs.submit(Request.model_validate({"text": "why?", "conversation": "c", **fields}))
    claim = Claims(database, "me", 60.0).take()
    assert claim is not None
    return claim


def test_a_request_is_made_whole_and_kept(database: Database) -> None:
    place, claim = Place(), claimed(database, metadata={"source": "place"}, order=100.0)

    whole = fill(database, {"place": place}, claim)
    again = fill(database, {"place": place}, whole)

    assert [each.text for each in whole.job.request.attachments] == ["abc"]
    assert (again, place.asked) == (whole, [False])
    [said] = Conversations(database).history("c", claim.job.id)
    assert (said.author, said.content) == ("Ben", "It broke")


def test_a_request_of_no_known_source_stays_as_it_is(database: Database) -> None:
    claim = claimed(database, metadata={"source": "elsewhere"})

    assert fill(database, {"place": Place()}, claim) is claim


def test_a_worker_that_lost_the_job_goes_no_further(database: Database) -> None:
    claim = claimed(database, metadata={"source": "place"})
    stale = Claim(claim.job, claim.attempt - 1, 0, 0.0, 0, ())

    with pytest.raises(LeaseLost):
        fill(database, {"place": Place()}, stale)
