"""Journals, on every database: what was done outside is known after a crash."""

from collections.abc import Callable
from typing import Any

import pytest

from llmasos.database import Database
from llmasos.errors import EffectUnknown, InvalidRequest, LeaseLost
from llmasos.events import Failure
from llmasos.generation import Usage
from llmasos.jobs import Jobs
from llmasos.request import Request
from llmasos.tools import Tool, tool
from workers.claims import Claim, Claims
from workers.journal import DatabaseJournal, PostJournal
from workers.outcomes import Outcomes

Again = Callable[[], Claim]


class Crash(BaseException):
    """The worker dies here."""


@pytest.fixture
def calls() -> list[Any]:
    return []


@pytest.fixture
def refund(calls: list[Any]) -> Tool:
    @tool(effect=True)
    def refund(order: int, note: str = "") -> str:
        """Pay an order back. order: its number; note: why, `crash` and `fail` do what they say."""
        calls.append(order)
        if note == "crash":
            raise Crash
        if note == "fail":
            raise ConnectionError("reset")
        return f"refunded {order}"

    return refund


@pytest.fixture
def again(jobs: Jobs, database: Database) -> Again:
    """The next claim of one job, its lease lost before."""
    jobs.submit(Request(agent="echo", text="hi", reply_to=("test:a",)))

    def take() -> Claim:
        with database.writing() as connection:
            connection.exec_driver_sql("UPDATE jobs SET due_at = 1")
        claim = Claims(database, "worker", 15).take()
        assert claim is not None
        return claim

    return take


def journal(database: Database, claim: Claim) -> DatabaseJournal:
    return DatabaseJournal(database, claim.job.id, claim.attempt)


def test_a_call_that_was_made_is_not_made_again(
    database: Database, again: Again, refund: Tool, calls: list[Any]
) -> None:
    first = journal(database, again()).call(refund, {"order": 1})

    second = journal(database, again()).call(refund, {"order": 1})

    assert (first, second, calls) == ("refunded 1", "refunded 1", [1])


def test_a_second_run_goes_on_after_what_the_first_has_done(
    database: Database, again: Again, refund: Tool, calls: list[Any]
) -> None:
    journal(database, again()).call(refund, {"order": 1})
    second = journal(database, again())

    results = [second.call(refund, {"order": number}) for number in (1, 2, 2)]

    assert results == ["refunded 1", "refunded 2", "refunded 2"]
    assert calls == [1, 2, 2]


@pytest.mark.parametrize(("note", "error"), [("crash", Crash), ("fail", ConnectionError)])
def test_a_call_whose_outcome_is_unknown_is_not_made_again(
    database: Database,
    again: Again,
    refund: Tool,
    calls: list[Any],
    note: str,
    error: type[BaseException],
) -> None:
    arguments = {"order": 1, "note": note}
    with pytest.raises(error):
        journal(database, again()).call(refund, arguments)

    with pytest.raises(EffectUnknown, match=r"'refund' .*not known.*Please check") as caught:
        journal(database, again()).call(refund, arguments)

    assert calls == [1]
    assert "llmasos jobs retry" in str(caught.value)


def test_another_call_in_the_place_of_one_that_was_made_is_not_made(
    database: Database, again: Again, refund: Tool, calls: list[Any]
) -> None:
    journal(database, again()).call(refund, {"order": 1})

    with pytest.raises(EffectUnknown, match="another call instead"):
        journal(database, again()).call(refund, {"order": 1, "note": "worded anew"})

    assert calls == [1]


def test_whoever_retries_the_job_has_looked_and_the_call_is_made(
    database: Database, jobs: Jobs, again: Again, refund: Tool, calls: list[Any]
) -> None:
    claim = again()
    journal(database, claim).call(refund, {"order": 1})
    with pytest.raises(Crash):
        journal(database, claim).call(refund, {"order": 2, "note": "crash"})
    claim = again()
    failure = Failure(type="EffectUnknown", message="?")
    Outcomes(database).fail(claim, failure, Usage(), cancelled=False)

    jobs.retry(claim.job.id)
    third = journal(database, again())
    results = [third.call(refund, {"order": number}) for number in (1, 2)]

    assert results == ["refunded 1", "refunded 2"]
    assert calls == [1, 2, 2]


def test_a_stale_or_stopped_job_calls_nothing(
    database: Database, again: Again, refund: Tool, calls: list[Any]
) -> None:
    stale = journal(database, again())
    current = again()
    Outcomes(database).fail(current, Failure(type="X", message="x"), Usage(), cancelled=True)

    for each in (stale, journal(database, current)):
        with pytest.raises(LeaseLost):
            each.call(refund, {"order": 1})

    assert calls == []


def test_arguments_that_do_not_fit_leave_no_trace(
    database: Database, again: Again, refund: Tool
) -> None:
    with pytest.raises(InvalidRequest):
        journal(database, again()).call(refund, {"order": "many"})

    assert journal(database, again()).call(refund, {"order": 1}) == "refunded 1"


def test_tools_without_effects_are_called_as_often_as_wanted(
    database: Database, again: Again
) -> None:
    @tool
    def count(word: str) -> int:
        """Count letters. word: the word."""
        return len(word)

    made = journal(database, again())

    assert [made.call(count, {"word": "abc"}) for _ in range(2)] == ["3", "3"]
    assert journal(database, again()).call(count, {"word": "ab"}) == "2"


def test_a_post_is_known_before_and_after_it_is_created(database: Database, again: Again) -> None:
    claim = again()
    posts = PostJournal(database, claim.job.id, claim.attempt, "test:a")

    posts.begin(0, streaming=True)
    (posting,) = posts.rows()
    posts.opened(0, "17.5", streaming=True)
    (opened,) = posts.rows()
    posts.closed(0)
    (closed,) = posts.rows()

    assert (posting.state, posting.external_id, posting.streaming) == ("posting", None, True)
    assert (opened.state, opened.external_id, opened.streaming) == ("open", "17.5", True)
    assert (closed.state, closed.external_id, closed.streaming) == ("closed", "17.5", False)
    assert closed.attempt == claim.attempt


def test_another_worker_finds_what_was_posted(database: Database, again: Again) -> None:
    dead = again()
    PostJournal(database, dead.job.id, dead.attempt, "test:a").begin(0, streaming=False)
    heir = again()
    posts = PostJournal(database, heir.job.id, heir.attempt, "test:a")

    (found,) = posts.rows()
    posts.opened(0, "17.5", streaming=False)

    assert (found.state, found.attempt) == ("posting", dead.attempt)
    assert posts.rows()[0].attempt == heir.attempt
    assert posts.known(["17.5", "99"]) == {"17.5"}


def test_a_post_that_was_surely_not_created_leaves_no_trace(
    database: Database, again: Again
) -> None:
    claim = again()
    posts = PostJournal(database, claim.job.id, claim.attempt, "test:a")
    posts.begin(0, streaming=False)

    posts.dropped(0)

    assert list(posts.rows()) == []


def test_posts_of_other_addresses_are_not_ours(database: Database, again: Again) -> None:
    claim = again()
    PostJournal(database, claim.job.id, claim.attempt, "test:a").begin(0, streaming=False)

    other = PostJournal(database, claim.job.id, claim.attempt, "test:b")

    assert list(other.rows()) == []
    assert other.known([]) == set()
