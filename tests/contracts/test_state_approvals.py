"""Approvals, on every database: a job waits for a person, who decides once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from llmasos.database import Database
from llmasos.errors import AlreadyDecided, LeaseLost, WrongJobState
from llmasos.events import Approval
from llmasos.generation import Usage
from llmasos.jobs import Jobs, JobStatus
from llmasos.request import LOCAL, Request
from workers.claims import Claim, Claims
from workers.outcomes import Outcomes

Suspend = Callable[..., Claim]
QUESTION = Approval(question="May I?", payload={"n": 1})


@pytest.fixture
def suspend(jobs: Jobs, database: Database) -> Suspend:
    """Gives a claim whose job has just begun to wait for a person."""

    def suspended(seconds: float = 3600.0, **fields: object) -> Claim:
        jobs.submit(Request.model_validate({"agent": "echo", "text": "hi", **fields}))
        claim = Claims(database, "worker", 15).take()
        assert claim is not None
        Outcomes(database).suspend(claim, "echo", QUESTION, Usage(), seconds)
        return claim

    return suspended


def test_a_job_waits_until_someone_decides(
    jobs: Jobs, suspend: Suspend, database: Database
) -> None:
    job_id = suspend().job.id
    claims = Claims(database, "other", 15)
    waiting = jobs.find(job_id)
    assert (waiting.status, claims.take()) == (JobStatus.AWAITING_APPROVAL, None)
    assert waiting.waiting is not None
    assert waiting.waiting.approval == QUESTION
    assert jobs.list(status=JobStatus.AWAITING_APPROVAL) == [waiting]

    jobs.decide(job_id, True, LOCAL)

    resumed = claims.take()
    assert resumed is not None
    assert (resumed.job.id, resumed.lost_leases, resumed.job.attempts) == (job_id, 0, 2)


def test_of_many_decisions_one_counts(jobs: Jobs, suspend: Suspend) -> None:
    job_id = suspend().job.id

    def decide(number: int) -> bool:
        try:
            jobs.decide(job_id, bool(number % 2), LOCAL)
        except AlreadyDecided:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(decide, range(8))) == 1


def test_a_decision_fences_off_the_worker_that_still_asks(
    jobs: Jobs, suspend: Suspend, database: Database
) -> None:
    claim = suspend(reply_to=("test:a",))

    jobs.decide(claim.job.id, True, LOCAL)

    with pytest.raises(LeaseLost):
        Outcomes(database).delivered(claim, "test:a")
    with pytest.raises(LeaseLost):
        Outcomes(database).settle(claim)


def test_where_it_was_asked_the_answer_is_brought_later(
    jobs: Jobs, suspend: Suspend, database: Database
) -> None:
    claim = suspend(reply_to=("test:a",))
    Outcomes(database).delivered(claim, "test:a")
    Outcomes(database).settle(claim)
    assert jobs.find(claim.job.id).deliveries[0].state == "asked"

    jobs.decide(claim.job.id, True, LOCAL)

    resumed = Claims(database, "other", 15).take()
    assert resumed is not None
    assert resumed.addresses == ("test:a",)


def test_a_question_that_was_not_brought_is_taken_over(
    suspend: Suspend, database: Database
) -> None:
    claim = suspend(reply_to=("test:a",))
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE jobs SET due_at = 1")

    heir = Claims(database, "heir", 15).take()

    assert heir is not None
    assert (heir.only_delivery, heir.addresses) == (True, ("test:a",))
    assert heir.job.waiting is not None
    assert heir.attempt > claim.attempt


def test_what_nobody_decides_on_falls_due_and_expires(
    jobs: Jobs, suspend: Suspend, database: Database
) -> None:
    claim = suspend(seconds=-1.0)
    late = Claims(database, "late", 15).take()
    assert late is not None
    assert late.expired

    Outcomes(database).expire(late)

    assert jobs.find(claim.job.id).status is JobStatus.CANCELLED
    with pytest.raises(AlreadyDecided, match="expired"):
        jobs.decide(claim.job.id, True, LOCAL)


def test_a_job_that_asks_nothing_cannot_be_decided_on(jobs: Jobs) -> None:
    job = jobs.submit(Request(agent="echo", text="hi")).job

    with pytest.raises(WrongJobState, match="approved"):
        jobs.decide(job.id, True, LOCAL)
