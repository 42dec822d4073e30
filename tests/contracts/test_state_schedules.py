"""Schedules, on every database: one job for each due time, however many look."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from llmasos.database import Database
from llmasos.jobs import Jobs
from llmasos.request import Queue
from llmasos.schedules import Schedules
from llmasos.settings import ScheduleSettings

NOON = 1_767_268_800.0  # 2026-01-01 12:00 UTC
HOUR = 3600.0
Make = Callable[..., Schedules]


@pytest.fixture
def make(database: Database) -> Make:
    """Schedules as one worker of several has them."""

    def made(**changes: Any) -> Schedules:
        given = {"name": "digest", "cron": "0 * * * *", "text": "News?", "agent": "echo"}
        return Schedules(database, [ScheduleSettings(**{**given, **changes})])

    return made


def test_a_due_time_makes_one_job_however_many_look(jobs: Jobs, make: Make) -> None:
    workers = [make(reply_to=("test:a",)) for _ in range(4)]
    for each in workers:
        each.submit_due(jobs, NOON + 60)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: each.submit_due(jobs, NOON + HOUR + 1), workers))

    (job,) = jobs.list()
    assert (job.request.text, job.request.queue) == ("News?", Queue.BATCH)
    assert job.request.principal.id == "schedule:digest"
    assert job.request.principal.among(["scope:knowledge:write"])
    assert job.request.reply_to == ("test:a",)


def test_what_was_due_before_it_was_set_is_not_sent(jobs: Jobs, make: Make) -> None:
    make().submit_due(jobs, NOON + 60)

    assert jobs.list() == []


def test_of_what_was_missed_the_last_is_sent(jobs: Jobs, make: Make) -> None:
    make().submit_due(jobs, NOON + 60)

    later = make()
    for minutes in (0, 1, 30):
        later.submit_due(jobs, NOON + 5 * HOUR + 60 * minutes + 60)

    assert len(jobs.list()) == 1
    later.submit_due(jobs, NOON + 6 * HOUR)
    assert len(jobs.list()) == 2


def test_a_crash_after_the_job_was_stored_makes_no_second_one(
    jobs: Jobs, make: Make, database: Database
) -> None:
    make().submit_due(jobs, NOON + 60)
    make().submit_due(jobs, NOON + HOUR)
    with database.writing() as connection:  # as if it had not come to be noted
        connection.exec_driver_sql("UPDATE schedules SET last_at = NULL")

    make().submit_due(jobs, NOON + HOUR + 1)

    assert len(jobs.list()) == 1


def test_a_changed_time_begins_anew(jobs: Jobs, make: Make) -> None:
    make().submit_due(jobs, NOON + 60)

    make(cron="30 * * * *").submit_due(jobs, NOON + HOUR + 60)
    make(cron="30 * * * *", timezone="Europe/Berlin").submit_due(jobs, NOON + 3 * HOUR)

    assert jobs.list() == []


def test_what_is_refused_is_left_until_the_next_time(
    make_jobs: Callable[..., Jobs], make: Make
) -> None:
    asked = []

    def refuse(*_: object) -> bool:
        asked.append(1)
        return False

    jobs = make_jobs(may_use=refuse)
    schedules = make()
    for minutes in (0, 60, 61, 62):
        schedules.submit_due(jobs, NOON + 60 + 60 * minutes)

    assert len(asked) == 1
    assert jobs.list() == []


def test_the_next_times_are_told(jobs: Jobs, make: Make) -> None:
    schedules = make(cron="0 9 * * *", timezone="Europe/Berlin")
    schedules.submit_due(jobs, NOON)

    (told,) = schedules.upcoming(NOON)
    assert (told.next_at, told.last_at) == (NOON + 20 * HOUR, None)

    schedules.submit_due(jobs, NOON + 21 * HOUR)
    (told,) = schedules.upcoming(NOON + 21 * HOUR)
    assert (told.next_at, told.last_at) == (NOON + 44 * HOUR, NOON + 20 * HOUR)
