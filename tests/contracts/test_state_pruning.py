"""Pruning, on every database: what is old goes whole, what is unfinished stays."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from llmasos.conversations import Conversations
from llmasos.database import Database
from llmasos.errors import UnknownJob
from llmasos.events import Reply
from llmasos.generation import Usage
from llmasos.jobs import Jobs
from llmasos.request import Request
from llmasos.tables import deliveries, messages, metadata
from workers import pruning
from workers.claims import Claims
from workers.outcomes import Outcomes
from workers.pruning import DAY, Pruner

Make = Callable[..., str]


@pytest.fixture
def make(jobs: Jobs, database: Database) -> Make:
    """A job that was answered so many days ago, or that waits still."""

    def made(days: float, *, finished: bool = True, **fields: Any) -> str:
        job = jobs.submit(Request(agent="echo", text=f"{days}", **fields)).job
        if finished:
            claim = Claims(database, "w", 10).take(turn_of=job.id)
            assert claim is not None
            assert claim.job.id == job.id
            Outcomes(database).succeed(claim, "echo", Reply(text="said"), Usage())
            for address in claim.addresses:
                Outcomes(database).delivered(claim, address)
            Outcomes(database).settle(claim)
        age(database, job.id, days)
        return job.id

    return made


def age(database: Database, job_id: str, days: float) -> None:
    table = metadata.tables["jobs"]
    with database.writing() as connection:
        connection.execute(
            update(table)
            .where(table.c.id == job_id)
            .values(
                created_at=table.c.created_at - days * DAY,
                finished_at=table.c.finished_at - days * DAY,
            )
        )


def left(jobs: Jobs) -> set[str]:
    return {job.id for job in jobs.list()}


def test_old_jobs_go_with_all_that_belongs_to_them(
    database: Database, jobs: Jobs, make: Make
) -> None:
    make(40, conversation="c", reply_to=("test:a",))
    young = make(20)

    assert Pruner(database, keep_days=30).prune() == 1

    assert left(jobs) == {young}
    with database.reading() as connection:
        assert connection.execute(select(messages)).all() == []
        assert connection.execute(select(deliveries)).all() == []


def test_what_is_unfinished_stays_and_all_after_it_in_its_conversation(
    database: Database, jobs: Jobs, make: Make
) -> None:
    gone = make(50, conversation="c", order=1.0)
    later = make(45, conversation="c", order=3.0)
    waits = make(48, conversation="c", order=2.0, finished=False)
    elsewhere = make(44, conversation="d")

    Pruner(database, keep_days=30).prune()

    assert left(jobs) == {later, waits}
    for each in (gone, elsewhere):
        with pytest.raises(UnknownJob):
            jobs.find(each)


def test_a_conversation_remembers_the_turns_that_are_left(
    database: Database, jobs: Jobs, make: Make
) -> None:
    for days in (50, 40, 20, 10):
        make(days, conversation="c")
    now = make(0, conversation="c", finished=False)

    Pruner(database, keep_days=30).prune()

    history = Conversations(database).history("c", now)
    assert [each.content for each in history] == ["20", "said", "10", "said"]


def test_an_answer_that_is_still_to_be_brought_keeps_its_job(
    database: Database, jobs: Jobs, make: Make
) -> None:
    job = make(40, finished=False, reply_to=("test:a",))
    claim = Claims(database, "w", 10).take()
    assert claim is not None
    Outcomes(database).succeed(claim, "echo", Reply(text="x"), Usage())
    age(database, job, 40)

    assert Pruner(database, keep_days=30).prune() == 0

    assert left(jobs) == {job}


def test_few_go_at_a_time(
    database: Database, jobs: Jobs, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    for _ in range(3):
        make(40)
    pruner = Pruner(database, keep_days=30)

    assert [pruner.prune() for _ in range(3)] == [2, 1, 0]


def test_nothing_goes_when_all_is_to_be_kept(database: Database, jobs: Jobs, make: Make) -> None:
    kept = make(4_000)

    assert Pruner(database, keep_days=0).prune() == 0

    assert left(jobs) == {kept}


def test_a_repeat_of_what_is_gone_is_a_new_job(database: Database, jobs: Jobs, make: Make) -> None:
    make(40, idempotency_key="once")
    Pruner(database, keep_days=30).prune()

    again = jobs.submit(Request(agent="echo", text="another", idempotency_key="once"))

    assert again.new


def test_the_parts_of_a_job_stay_while_it_waits(database: Database, jobs: Jobs, make: Make) -> None:
    whole = make(40, finished=False)
    part = make(40)
    table = metadata.tables["jobs"]
    with database.writing() as connection:
        connection.execute(update(table).where(table.c.id == part).values(parent=whole))

    Pruner(database, keep_days=30).prune()

    assert left(jobs) == {whole, part}
