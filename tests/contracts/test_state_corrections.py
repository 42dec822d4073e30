"""Corrections on each database: what is changed or taken back of what was asked."""

from collections.abc import Callable
from typing import Any

import pytest

from llmasos.channels import Earlier
from llmasos.conversations import Conversations, remember
from llmasos.corrections import Corrections, Said
from llmasos.database import Database
from llmasos.errors import InvalidRequest
from llmasos.events import Reply
from llmasos.generation import Message
from llmasos.jobs import Jobs, JobStatus
from llmasos.request import Principal, Request
from llmasos.settings import JobSettings
from llmasos.tables import jobs as table

SAID = Said("c1", 100.0, "k1")
LATER = Request(text="later", conversation="c1", order=900.0)


def asking(text: str = "How long?", **fields: Any) -> Request:
    return Request(text=text, conversation="c1", order=100.0, idempotency_key="k1", **fields)


@pytest.fixture
def corrections(database: Database, jobs: Jobs) -> Corrections:
    return Corrections(database, jobs)


def history(database: Database, jobs: Jobs) -> list[tuple[str, str, str]]:
    """What an agent would be given of the conversation later."""
    after = jobs.submit(LATER.model_copy(update={"idempotency_key": "later"})).job
    said = Conversations(database).history("c1", after.id)
    return [(each.role, each.author, each.content) for each in said]


def answer(database: Database, jobs: Jobs, request: Request) -> None:
    """A job of this request, answered."""
    job = jobs.submit(request).job
    with database.writing() as connection:
        remember(connection, job, Reply(text="14 days."), 200.0)
        row = table.update().where(table.c.id == job.id)
        connection.execute(row.values(status=JobStatus.SUCCEEDED, unsettled=False, due_at=None))


def test_a_question_that_waits_reads_otherwise(jobs: Jobs, corrections: Corrections) -> None:
    job = jobs.submit(asking(agent="echo")).job

    corrections.edit(asking("How long abroad?", agent="billing"), SAID, 150.0)

    assert jobs.find(job.id).request.text == "How long abroad?"
    assert jobs.find(job.id).agent == "billing"


def test_what_would_not_be_taken_changes_nothing(
    database: Database, make_jobs: Callable[..., Jobs]
) -> None:
    jobs = make_jobs(limits=JobSettings(max_text=20))
    job = jobs.submit(asking()).job

    with pytest.raises(InvalidRequest, match="at most 20"):
        Corrections(database, jobs).edit(asking("long " * 10), SAID, 150.0)

    assert jobs.find(job.id).request.text == "How long?"


def test_an_edit_of_an_answered_question_is_noted_once(
    database: Database, jobs: Jobs, corrections: Corrections
) -> None:
    who = Principal(id="slack:T1:U1", name="Ann", channel="C1")
    answer(database, jobs, asking(principal=who))

    for _ in range(2):
        corrections.edit(asking("How long abroad?", principal=who), SAID, 150.0)

    assert history(database, jobs) == [
        ("user", "Ann", "How long?"),
        ("assistant", "", "14 days."),
        ("user", "Ann", "(I changed what I had asked. It reads now: How long abroad?)"),
    ]


def test_a_deleted_question_is_forgotten(
    database: Database, jobs: Jobs, corrections: Corrections
) -> None:
    answer(database, jobs, asking())

    assert corrections.delete(SAID) is None
    assert corrections.delete(SAID) is None

    assert history(database, jobs) == [("assistant", "", "14 days.")]


def test_a_deleted_question_that_waits_is_not_answered_and_nobody_is_told(
    jobs: Jobs, corrections: Corrections
) -> None:
    job = jobs.submit(asking(reply_to=("test:a",))).job

    corrections.delete(SAID)

    found = jobs.find(job.id)
    assert found.status is JobStatus.CANCELLED
    assert [(d.state, d.error) for d in found.deliveries] == [
        ("refused", "the question was deleted")
    ]


def test_what_others_had_said_is_kept_once_and_corrected(
    database: Database, jobs: Jobs, corrections: Corrections
) -> None:
    job = jobs.submit(asking()).job
    conversations = Conversations(database)
    before: list[Earlier] = [
        (90.0, Message(role="user", content="It brok", author="Ben")),
        (95.0, Message(role="user", content="A secret", author="Ben")),
    ]
    conversations.begin("c1", job.id, before)
    conversations.begin("c1", job.id, before)
    edited = Request(text="It broke", conversation="c1", order=90.0, idempotency_key="k0")

    corrections.edit(edited, Said("c1", 90.0, "k0"), 300.0)
    corrections.delete(Said("c1", 95.0, "k00"))

    assert conversations.begun("c1")
    assert conversations.last_agent("c1", jobs.submit(LATER).job.id) is None
    assert history(database, jobs) == [("user", "Ben", "It broke")]


def test_unfinished_jobs_and_those_of_a_person_are_found(database: Database, jobs: Jobs) -> None:
    me = Principal(id="slack:T1:U1")
    first = jobs.submit(asking(principal=me)).job
    second = jobs.submit(Request(text="other", conversation="c1", order=50.0)).job
    jobs.submit(Request(text="elsewhere", conversation="c2", principal=me))
    conversations = Conversations(database)

    assert [job.id for job in conversations.unfinished("c1")] == [second.id, first.id]
    jobs.cancel(second.id)
    assert [job.id for job in conversations.unfinished("c1")] == [first.id]
    texts = [job.request.text for job in conversations.of_person(me.id, 10)]
    assert texts == ["elsewhere", "How long?"]
