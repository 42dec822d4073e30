"""Claims, on every database: one job, one worker; order, leases and the fence."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import update

from llmasos.database import Database
from llmasos.errors import ChannelRefused, ChannelUnavailable, JobError, LeaseLost
from llmasos.events import Failure, Reply
from llmasos.generation import Usage
from llmasos.jobs import Job, Jobs, JobStatus
from llmasos.request import Request
from llmasos.tables import jobs as table
from workers.claims import Claim, Claims
from workers.journal import PostJournal
from workers.outcomes import Outcomes
from workers.retries import NextTry

Take = Callable[..., Claim]


def ask(**fields: Any) -> Request:
    return Request(agent="echo", text="hi", **fields)


def succeed(database: Database, claim: Claim, text: str = "yes") -> None:
    Outcomes(database).succeed(claim, "echo", Reply(text=text), Usage())


def expire(database: Database, job_id: str) -> None:
    """Let a lease run out, as if time had passed."""
    with database.writing() as connection:
        connection.execute(update(table).where(table.c.id == job_id).values(due_at=1.0))


@pytest.fixture
def claims(database: Database) -> Claims:
    return Claims(database, "worker-1", lease_seconds=15)


@pytest.fixture
def take(claims: Claims) -> Take:
    def taken(claims: Claims = claims) -> Claim:
        claim = claims.take()
        assert claim is not None
        return claim

    return taken


def test_many_claimers_never_get_one_job_twice(jobs: Jobs, database: Database) -> None:
    wanted = {jobs.submit(ask()).job.id for _ in range(60)}
    start = threading.Barrier(8)

    def drain(number: int) -> list[str]:
        own = Claims(database, f"worker-{number}", lease_seconds=60)
        start.wait()
        taken = []
        while (claim := own.take()) is not None:
            taken.append(claim.job.id)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [job for share in pool.map(drain, range(8)) for job in share]

    assert sorted(taken) == sorted(wanted)


def test_the_oldest_due_job_is_taken_first(jobs: Jobs, take: Take) -> None:
    ids = [jobs.submit(ask()).job.id for _ in range(3)]

    assert [take().job.id for _ in ids] == ids


def test_a_taken_job_says_that_it_runs(jobs: Jobs, take: Take) -> None:
    job = jobs.submit(ask()).job

    take()

    running = jobs.find(job.id)
    assert (running.status, running.attempts) == (JobStatus.RUNNING, 1)
    assert running.started_at is not None


def test_a_conversation_is_answered_in_its_sources_order(
    jobs: Jobs, claims: Claims, take: Take, database: Database
) -> None:
    second = jobs.submit(ask(conversation="c", order=2.0)).job
    first = jobs.submit(ask(conversation="c", order=1.0)).job

    claim = take()
    assert claim.job.id == first.id
    assert claims.take() is None
    succeed(database, claim)

    assert take().job.id == second.id


def test_the_next_of_a_conversation_waits_until_the_answer_was_brought(
    jobs: Jobs, claims: Claims, take: Take, database: Database
) -> None:
    jobs.submit(ask(conversation="c", reply_to=("test:a",)))
    second = jobs.submit(ask(conversation="c")).job
    claim = take()
    succeed(database, claim)

    assert claims.take() is None
    Outcomes(database).delivered(claim, "test:a")
    following = Outcomes(database).settle(claim)

    assert following is not None
    assert following.job_id == second.id
    assert take().job.id == second.id


def test_an_address_that_is_away_for_long_does_not_hold_up_its_conversation(
    jobs: Jobs, take: Take, database: Database
) -> None:
    first = jobs.submit(ask(conversation="c", reply_to=("test:a",))).job
    second = jobs.submit(ask(conversation="c")).job
    claim = take()
    succeed(database, claim)

    wait = Outcomes(database).undelivered(claim, "test:a", ChannelUnavailable("test:a", "gone"))
    Outcomes(database).settle(claim)

    assert wait is not None
    assert take().job.id == second.id
    assert jobs.find(first.id).deliveries[0].state == "pending"


def test_a_postponed_delivery_is_taken_when_its_time_has_come(
    jobs: Jobs, claims: Claims, take: Take, database: Database
) -> None:
    jobs.submit(ask(reply_to=("test:a", "test:b")))
    claim = take()
    succeed(database, claim)
    Outcomes(database).delivered(claim, "test:a")
    error = ChannelUnavailable("test:b", "wait", retry_after=3600)
    assert Outcomes(database).undelivered(claim, "test:b", error) == 3600
    Outcomes(database).settle(claim)
    assert claims.take() is None

    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET run_after = 1")
        connection.exec_driver_sql("UPDATE jobs SET due_at = 1")

    again = take()
    assert again.only_delivery
    assert again.addresses == ("test:b",)
    assert again.job.reply == Reply(text="yes")


def test_a_refused_delivery_ends_and_can_be_seen(
    jobs: Jobs, take: Take, database: Database
) -> None:
    job = jobs.submit(ask(reply_to=("test:a",))).job
    claim = take()
    succeed(database, claim)

    Outcomes(database).undelivered(claim, "test:a", ChannelRefused("test:a", "archived"))
    Outcomes(database).settle(claim)

    shown = jobs.find(job.id).as_json()["deliveries"]
    assert [each["state"] for each in shown] == ["refused"]
    assert "archived" in shown[0]["error"]


def test_a_failed_job_waits_before_it_is_tried_again(
    jobs: Jobs, claims: Claims, take: Take, database: Database
) -> None:
    job = jobs.submit(ask()).job

    Outcomes(database).try_again(take(), Usage(), NextTry(3600, "a backend", 1, 0.0))
    assert claims.take() is None
    expire(database, job.id)

    again = take()
    assert (again.failures, again.lost_leases, again.job.attempts) == (1, 0, 2)


def test_a_job_whose_worker_died_is_taken_over(jobs: Jobs, take: Take, database: Database) -> None:
    job = jobs.submit(ask()).job
    dead = take(Claims(database, "dead", lease_seconds=0.2))

    time.sleep(0.25)
    heir = take(Claims(database, "heir", lease_seconds=15))

    assert heir.job.id == job.id
    assert heir.attempt > dead.attempt
    assert (heir.failures, heir.lost_leases) == (0, 1)


def test_a_renewed_lease_is_not_taken_over(jobs: Jobs, take: Take, database: Database) -> None:
    jobs.submit(ask())
    own = Claims(database, "own", 15)
    claim = take(own)
    expire(database, claim.job.id)

    renewal = own.renew([(claim.job.id, claim.attempt)])

    assert renewal.kept == {(claim.job.id, claim.attempt)}
    assert Claims(database, "other", 15).take() is None


def test_a_renewal_tells_what_was_lost_and_what_was_cancelled(
    jobs: Jobs, claims: Claims, take: Take, database: Database
) -> None:
    jobs.submit(ask())
    jobs.submit(ask())
    lost, cancelled = take(), take()
    expire(database, lost.job.id)
    take(Claims(database, "thief", 15))
    jobs.cancel(cancelled.job.id)

    renewal = claims.renew([(each.job.id, each.attempt) for each in (lost, cancelled)])

    assert renewal.kept == {(cancelled.job.id, cancelled.attempt)}
    assert renewal.cancelled == {cancelled.job.id}


def test_a_job_that_is_given_back_is_not_counted_as_lost(
    jobs: Jobs, claims: Claims, take: Take, database: Database
) -> None:
    jobs.submit(ask())
    claim = take()

    claims.give_back(claim)

    heir = take(Claims(database, "heir", 15))
    assert heir.lost_leases == 0
    with pytest.raises(LeaseLost):
        succeed(database, claim)


def test_a_claim_for_one_turn_takes_nothing_else(jobs: Jobs, claims: Claims) -> None:
    jobs.submit(ask())
    before = jobs.submit(ask(conversation="c")).job
    wanted = jobs.submit(ask(conversation="c")).job

    claim = claims.take(turn_of=wanted.id)

    assert claim is not None
    assert claim.job.id == before.id
    assert claims.take(turn_of=wanted.id) is None


STALE: dict[str, Callable[[Database, Claim], object]] = {
    "succeed": succeed,
    "fail": lambda database, claim: Outcomes(database).fail(
        claim, Failure(type="X", message="x"), Usage(), cancelled=False
    ),
    "try_again": lambda database, claim: Outcomes(database).try_again(
        claim, Usage(), NextTry(1, "x", 1, 0.0)
    ),
    "delivered": lambda database, claim: Outcomes(database).delivered(claim, "test:a"),
    "settle": lambda database, claim: Outcomes(database).settle(claim),
    "post": lambda database, claim: _posts(database, claim).begin(0, streaming=False),
    "read posts": lambda database, claim: _posts(database, claim).rows(),
    "check": lambda database, claim: _posts(database, claim).check(),
}


def _posts(database: Database, claim: Claim) -> PostJournal:
    return PostJournal(database, claim.job.id, claim.attempt, "test:a")


@pytest.mark.parametrize("write", STALE.values(), ids=STALE)
def test_a_stale_worker_writes_nothing(
    jobs: Jobs, take: Take, database: Database, write: Callable[[Database, Claim], object]
) -> None:
    job = jobs.submit(ask(reply_to=("test:a",))).job
    stale = take()
    expire(database, job.id)
    heir = take(Claims(database, "heir", 15))

    with pytest.raises(LeaseLost):
        write(database, stale)

    succeed(database, heir, "the heir's")
    assert jobs.find(job.id).reply == Reply(text="the heir's")


def test_an_outcome_is_written_once(jobs: Jobs, take: Take, database: Database) -> None:
    job = jobs.submit(ask(reply_to=("test:a",))).job
    claim = take()
    late = Failure(type="DeadlineExceeded", message="too long")
    Outcomes(database).fail(claim, late, Usage(), cancelled=False)

    with pytest.raises(JobError):
        succeed(database, claim)

    assert jobs.find(job.id).reply is None


def test_under_dying_workers_each_job_is_answered_exactly_once(
    jobs: Jobs, database: Database
) -> None:
    """Workers take, dawdle, lose leases and write late; each job ends with one turn stored."""
    submitted = [jobs.submit(ask(conversation=f"c{n % 5}")).job for n in range(25)]
    answered: Counter[str] = Counter()
    lock = threading.Lock()

    def work(number: int) -> None:
        chance = random.Random(number)
        own = Claims(database, f"worker-{number}", lease_seconds=0.02)
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            with lock:
                if len(answered) == len(submitted):
                    return
            claim = own.take()
            if claim is None or chance.random() < 0.2:  # dies with the job in its hands
                time.sleep(0.002)
                continue
            time.sleep(chance.choice((0.0, 0.01, 0.03)))
            try:
                succeed(database, claim, f"by {number}")
            except LeaseLost:
                continue
            with lock:
                answered[claim.job.id] += 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))

    assert set(answered.values()) == {1}
    assert len(answered) == len(submitted)
    _assert_one_turn_each(database, submitted)


def _assert_one_turn_each(database: Database, submitted: list[Job]) -> None:
    with database.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT conversation, job_id FROM messages WHERE role = 'assistant' ORDER BY id"
        ).all()
    assert sorted(row.job_id for row in rows) == sorted(job.id for job in submitted)
    for conversation in {row.conversation for row in rows}:
        in_order = [row.job_id for row in rows if row.conversation == conversation]
        assert in_order == sorted(in_order)
