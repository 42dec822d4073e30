"""Jobs, on every database: what is accepted, found, cancelled and run again."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from llmasos.conversations import Conversations
from llmasos.database import Database
from llmasos.errors import (
    BrokerUnavailable,
    IdempotencyConflict,
    InvalidRequest,
    NotAllowed,
    UnknownAgent,
    UnknownJob,
    WrongJobState,
)
from llmasos.events import Citation, Failure, Reply
from llmasos.generation import Usage
from llmasos.jobs import Jobs, JobStatus
from llmasos.request import Attachment, Principal, Request
from llmasos.settings import JobSettings
from workers.claims import Claims
from workers.outcomes import Outcomes


def ask(text: str = "hi", **fields: Any) -> Request:
    return Request(agent="echo", text=text, **fields)


def finish(database: Database, reply: str) -> None:
    """Answer the next eligible job."""
    claim = Claims(database, "worker", 15).take()
    assert claim is not None
    Outcomes(database).succeed(claim, "echo", Reply(text=reply), Usage())
    if claim.addresses:
        Outcomes(database).settle(claim)


def test_a_submitted_job_is_found_again_as_it_was_given(jobs: Jobs) -> None:
    request = ask("发票在哪里？", conversation="c", reply_to=("test:a",), metadata={"n": [1]})

    submitted = jobs.submit(request)

    found = jobs.find(submitted.job.id)
    assert submitted.new
    assert replace(found, waiting_for=None) == submitted.job
    assert found.request == request


def test_a_finished_job_shows_its_reply_in_the_documented_form(
    jobs: Jobs, database: Database
) -> None:
    job = jobs.submit(ask()).job
    claim = Claims(database, "worker", 15).take()
    assert claim is not None
    source = Citation(source="refunds.md", title="Refunds", quote="14 days", score=0.5)
    reply = Reply(text="14 days [1]", citations=(source,), confidence=0.9)

    Outcomes(database).succeed(claim, "billing", reply, Usage(completion_tokens=3))

    shown = jobs.find(job.id).as_json()
    assert shown["status"] == "succeeded"
    assert shown["agent"] == "billing"
    assert shown["attempts"] == 1
    assert shown["reply"]["citations"] == [
        {"source": "refunds.md", "title": "Refunds", "quote": "14 days", "score": 0.5}
    ]
    assert shown["usage"]["completion_tokens"] == 3
    assert shown["created_at"] <= shown["started_at"] <= shown["finished_at"]
    assert shown["error"] is None


def test_a_repeat_with_the_same_content_is_the_same_job(jobs: Jobs, dispatcher: Any) -> None:
    first = jobs.submit(ask(idempotency_key="k", metadata={"retry": 0}))

    second = jobs.submit(ask(idempotency_key="k", metadata={"retry": 1}))

    assert second.job.id == first.job.id
    assert not second.new
    assert dispatcher.woken == [first.job.id]


@pytest.mark.parametrize(
    "other",
    [
        {"text": "bye"},
        {"reply_to": ("test:b",)},
        {"principal": Principal(id="key:other")},
        {"metadata": {"digest": "another body"}},
    ],
)
def test_a_repeat_with_another_content_is_refused(jobs: Jobs, other: dict[str, Any]) -> None:
    jobs.submit(ask(idempotency_key="k"))

    with pytest.raises(IdempotencyConflict, match="Send a new key"):
        jobs.submit(ask(**{"idempotency_key": "k", **other}))

    assert len(jobs.list()) == 1


def test_a_race_of_repeats_makes_one_job(jobs: Jobs) -> None:
    start = threading.Barrier(8)

    def submit(_: int) -> tuple[str, bool]:
        start.wait()
        submitted = jobs.submit(ask(idempotency_key="k", reply_to=("test:a",)))
        return submitted.job.id, submitted.new

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(submit, range(8)))

    assert len({job for job, _ in outcomes}) == 1
    assert sum(new for _, new in outcomes) == 1
    assert [each.address for each in jobs.list()[0].deliveries] == ["test:a"]


def test_an_unknown_agent_is_refused_with_the_nearest_name(jobs: Jobs) -> None:
    with pytest.raises(UnknownAgent, match="Did you mean 'billing'"):
        jobs.submit(Request(agent="biling", text="hi"))

    assert jobs.list() == []


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ask("  \n\0 "), "empty"),
        (ask("x" * 101), "101 characters, at most 100"),
        (ask(attachments=(Attachment(name="a"),) * 3), "3 attachments, at most 2"),
        (ask(attachments=(Attachment(name="a", text="x" * 1_000_001),)), "Split it"),
        (ask(reply_to=("smoke:signals",)), "'smoke:…'. Known: test"),
        (ask(reply_to=("test",)), "SCHEME:PLACE"),
        (ask(reply_to=("test:a\nb",)), "SCHEME:PLACE"),
        (ask(conversation=""), "conversation"),
        (ask(conversation="x" * 301), "conversation"),
        (ask(idempotency_key="a\0b"), "idempotency key"),
        (ask(order=float("nan")), "finite"),
        (ask(metadata={"x": object()}), "JSON"),
    ],
)
def test_a_request_that_cannot_be_taken_changes_nothing(
    make_jobs: Callable[..., Jobs], request_: Request, words: str
) -> None:
    jobs = make_jobs(limits=JobSettings(max_text=100, max_attachments=2))

    with pytest.raises(InvalidRequest, match=words):
        jobs.submit(request_)

    assert jobs.list() == []


def test_guests_of_other_organisations_may_not_use_agents(jobs: Jobs) -> None:
    guest = Principal(id="slack:T2:U9", name="Eve", member=False)

    with pytest.raises(NotAllowed, match="Eve may not use agents"):
        jobs.submit(ask(principal=guest))


def test_an_agent_is_used_by_those_who_may(make_jobs: Callable[..., Jobs]) -> None:
    jobs = make_jobs(may_use=lambda agent, who: (agent, who.id) == ("echo", "key:ann"))

    jobs.submit(ask(principal=Principal(id="key:ann")))

    with pytest.raises(NotAllowed, match=r"\[agents\.echo\]"):
        jobs.submit(ask(principal=Principal(id="key:bob")))


def test_a_job_is_kept_when_nobody_can_be_woken(make_jobs: Callable[..., Jobs]) -> None:
    class Dead:
        def wake(self, job_id: str, queue: str) -> Callable[[], None]:
            def said() -> None:
                raise BrokerUnavailable("redis://x", "gone")

            return said

    jobs = make_jobs(dispatcher=Dead())

    submitted = jobs.submit(ask())

    assert jobs.find(submitted.job.id).status == JobStatus.QUEUED


def test_a_waiting_job_is_cancelled_at_once(jobs: Jobs, database: Database) -> None:
    job = jobs.submit(ask()).job

    cancelled = jobs.cancel(job.id)

    assert cancelled.status == JobStatus.CANCELLED
    assert cancelled.error is not None
    assert Claims(database, "worker", 15).take() is None


def test_a_cancelled_job_lets_the_next_of_its_conversation_go(
    jobs: Jobs, database: Database, dispatcher: Any
) -> None:
    first = jobs.submit(ask(conversation="c")).job
    second = jobs.submit(ask(conversation="c")).job
    dispatcher.woken.clear()

    jobs.cancel(first.id)

    claim = Claims(database, "worker", 15).take()
    assert claim is not None
    assert claim.job.id == second.id
    assert dispatcher.woken == [second.id]


def test_people_who_wait_for_a_cancelled_job_are_told(jobs: Jobs, database: Database) -> None:
    job = jobs.submit(ask(reply_to=("test:a",))).job

    jobs.cancel(job.id)

    claim = Claims(database, "worker", 15).take()
    assert claim is not None
    assert claim.only_delivery
    assert claim.addresses == ("test:a",)


def test_a_finished_job_cannot_be_cancelled(jobs: Jobs, database: Database) -> None:
    job = jobs.submit(ask()).job
    finish(database, "done")

    with pytest.raises(WrongJobState, match="is succeeded: it cannot be cancelled"):
        jobs.cancel(job.id)


def test_a_failed_job_runs_again_when_asked_to(jobs: Jobs, database: Database) -> None:
    job = jobs.submit(ask(reply_to=("test:a",))).job
    claim = Claims(database, "worker", 15).take()
    assert claim is not None
    Outcomes(database).fail(claim, Failure(type="X", message="no"), Usage(), cancelled=False)

    again = jobs.retry(job.id)

    assert again.status == JobStatus.QUEUED
    assert again.error is None
    assert [each.state for each in again.deliveries] == ["pending"]
    taken = Claims(database, "other", 15).take()
    assert taken is not None
    assert (taken.failures, taken.lost_leases, taken.only_delivery) == (0, 0, False)


def test_a_job_that_did_not_fail_cannot_be_run_again(jobs: Jobs) -> None:
    job = jobs.submit(ask()).job

    with pytest.raises(WrongJobState, match="is queued: it cannot be run again"):
        jobs.retry(job.id)


@pytest.mark.parametrize("verb", ["find", "cancel", "retry"])
def test_a_job_that_does_not_exist_is_said_to_be_unknown(jobs: Jobs, verb: str) -> None:
    with pytest.raises(UnknownJob, match="llmasos jobs list"):
        getattr(jobs, verb)("nope")


def test_jobs_are_listed_by_pages_newest_first(jobs: Jobs) -> None:
    ids = [jobs.submit(ask(str(number))).job.id for number in range(5)]

    first = jobs.list(limit=3)
    rest = jobs.list(limit=3, before=first[-1].id)

    assert [job.id for job in first + rest] == ids[::-1]


def test_jobs_are_listed_by_status_and_agent(jobs: Jobs, database: Database) -> None:
    done = jobs.submit(ask()).job
    finish(database, "x")
    jobs.submit(Request(agent="billing", text="hi"))

    assert [job.id for job in jobs.list(status=JobStatus.SUCCEEDED)] == [done.id]
    assert [job.agent for job in jobs.list(agent="billing")] == ["billing"]


def test_history_holds_what_was_said_before_in_the_order_of_its_source(
    jobs: Jobs, database: Database
) -> None:
    for number in (1.0, 2.0):
        jobs.submit(ask(f"question {number}", conversation="c", order=number))
        finish(database, f"answer {number}")
    jobs.submit(ask("elsewhere", conversation="d", order=1.5))
    finish(database, "elsewhere")
    late = jobs.submit(ask("between", conversation="c", order=1.5)).job
    last = jobs.submit(ask("last", conversation="c", order=3.0)).job

    history = Conversations(database)

    assert [m.content for m in history.history("c", late.id)] == ["question 1.0", "answer 1.0"]
    assert [m.content for m in history.history("c", last.id, limit=3)] == [
        "answer 1.0",
        "question 2.0",
        "answer 2.0",
    ]
    assert [m.role for m in history.history("c", last.id, limit=2)] == ["user", "assistant"]


def test_history_begins_where_the_summary_ends(jobs: Jobs, database: Database) -> None:
    for number in (1.0, 2.0, 3.0):
        jobs.submit(ask(f"question {number}", conversation="c", order=number))
        finish(database, f"answer {number}")
    early = jobs.submit(ask("between", conversation="c", order=1.5)).job
    last = jobs.submit(ask("last", conversation="c", order=4.0)).job
    conversations = Conversations(database)
    assert conversations.recollection("c", last.id).summary == ""

    conversations.recollection("c", last.id).keep("What was said first.", 4)

    history = [message.content for message in conversations.history("c", last.id)]
    assert history == ["question 3.0", "answer 3.0"]
    assert conversations.recollection("c", last.id).summary == "What was said first."
    assert conversations.recollection("c", early.id).summary == ""
    assert len(conversations.history("c", early.id)) == 2


def test_a_later_summary_takes_the_place_of_the_one_before(jobs: Jobs, database: Database) -> None:
    for number in (1.0, 2.0):
        jobs.submit(ask(f"question {number}", conversation="c", order=number))
        finish(database, f"answer {number}")
    last = jobs.submit(ask("last", conversation="c", order=3.0)).job
    conversations = Conversations(database)

    conversations.recollection("c", last.id).keep("One.", 2)
    conversations.recollection("c", last.id).keep("One and two.", 2)

    assert conversations.recollection("c", last.id).summary == "One and two."
    assert conversations.history("c", last.id) == []
