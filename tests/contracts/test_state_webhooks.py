"""The log of deliveries and the list of undelivered answers, on each database."""

import time

import pytest

from integrations.webhooks import ledger
from integrations.webhooks.ledger import Arrival, Ledger, Outcome, UnknownDelivery
from llmasos.database import Database
from llmasos.errors import ChannelRefused
from llmasos.events import Reply
from llmasos.generation import Usage
from llmasos.jobs import Jobs
from llmasos.request import Request
from llmasos.settings import WebhookSettings
from llmasos.undelivered import DeadLetters
from workers.claims import Claims
from workers.inline import InlineDispatcher
from workers.outcomes import Outcomes

HOOK = WebhookSettings.model_validate({"name": "form", "secret": "s"})


@pytest.fixture
def log(database: Database) -> Ledger:
    return Ledger(database, [HOOK])


def arrival(key: str = "a", body: bytes = b'{"a": "\x00\xff"}', **more: float) -> Arrival:
    at = more.get("at", time.time())
    return Arrival("form", at, key, f"seal of {key}", {"x-a": "\x00é"}, body)


def test_a_delivery_is_kept_byte_by_byte(log: Ledger) -> None:
    log.add(arrival(), Outcome.ACCEPTED, job="1")
    (entry,) = log.entries("form", None, 10)

    shown, kept = log.kept(entry.id)

    assert shown == entry
    assert (kept.body, kept.headers) == (b'{"a": "\x00\xff"}', {"x-a": "\x00é"})
    assert (entry.outcome, entry.job_id, entry.key) == ("accepted", "1", "a")


def test_what_is_too_large_or_came_before_is_not_kept(log: Ledger) -> None:
    log.add(arrival("large", b"x" * (ledger.LARGEST_KEPT + 1)), Outcome.ACCEPTED, job="1")
    log.add(arrival("again"), Outcome.REPEATED, job="1")

    for entry in log.entries(None, None, 10):
        assert not entry.kept
        with pytest.raises(UnknownDelivery):
            log.kept(entry.id)


def test_a_seal_is_found_with_the_key_that_it_first_came_with(log: Ledger) -> None:
    now = time.time()
    log.add(arrival("a", at=now - 100), Outcome.ACCEPTED, job="1")

    assert log.key_of("form", "seal of a", now - 200) == "a"
    assert log.key_of("form", "seal of a", now - 50) is None
    assert log.key_of("other", "seal of a", now - 200) is None


def test_the_log_forgets(log: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MOST_REFUSED", 3)
    log.add(arrival("young"), Outcome.ACCEPTED)
    log.add(arrival("old", at=time.time() - 8 * 86_400), Outcome.ACCEPTED)

    for number in range(6):
        log.add_refused("form", time.time(), str(number))

    left = [each.key or each.reason for each in log.entries(None, None, 10)]
    assert left == ["5", "4", "3", "young"]


def test_an_answer_that_was_refused_is_brought_again(database: Database, jobs: Jobs) -> None:
    job_id = jobs.submit(Request(agent="echo", text="Hi", reply_to=("test:one",))).job.id
    claims, outcomes = Claims(database, "w", 60), Outcomes(database)
    claim = claims.take()
    assert claim is not None
    outcomes.succeed(claim, "echo", Reply(text="Ho"), Usage())
    outcomes.undelivered(claim, "test:one", ChannelRefused("test:one", "it answered 410"))
    outcomes.settle(claim)
    letters = DeadLetters(database, InlineDispatcher())
    assert [each.job_id for each in letters.latest(5)] == [job_id]
    assert claims.take() is None

    letters.replay(job_id)

    again = claims.take()
    assert again is not None
    assert (again.only_delivery, again.addresses) == (True, ("test:one",))
    assert letters.latest(5) == []
