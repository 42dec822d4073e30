"""What a job costs the database does not grow with those there were, nor with those that wait."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmasos.database import Database, migrate
from llmasos.events import Reply
from llmasos.generation import Usage
from llmasos.jobs import Jobs
from llmasos.request import Principal, Request
from llmasos.settings import JobSettings
from workers.claims import Claims
from workers.inline import InlineDispatcher
from workers.outcomes import Outcomes

MANY = 300


class Counted:
    """SQLite that counts the instructions of its virtual machine: the same on every machine."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(f"sqlite:///{folder / 'state.db'}")
        migrate(self.database)
        self.steps = 0
        with self.database.writing() as connection:  # there is one writing connection
            driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(self._step, 1)

    def _step(self) -> int:
        self.steps += 1
        return 0

    def cost(self, act: Callable[[], object]) -> int:
        before = self.steps
        act()
        return self.steps - before


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    return Counted(tmp_path)


def jobs_of(database: Database) -> Jobs:
    return Jobs(database, InlineDispatcher(), JobSettings(), ["echo"], [], lambda *_: True)


def ask() -> Request:
    return Request(agent="echo", text="x", principal=Principal(id="key:ann"))


def finish_one(database: Database) -> None:
    claim = Claims(database, "w", 60).take()
    assert claim is not None
    Outcomes(database).succeed(claim, "echo", Reply(text="y"), Usage())


def test_a_job_costs_the_same_after_many(counted: Counted) -> None:
    jobs = jobs_of(counted.database)

    def one() -> None:
        jobs.submit(ask())
        finish_one(counted.database)

    first = counted.cost(one)
    for _ in range(MANY):
        one()

    assert counted.cost(one) < 2 * first


def test_a_job_costs_the_same_behind_many_that_wait(counted: Counted) -> None:
    jobs = jobs_of(counted.database)

    first = counted.cost(lambda: jobs.submit(ask()))
    first_claim = counted.cost(lambda: finish_one(counted.database))
    for _ in range(MANY):
        jobs.submit(ask())

    assert counted.cost(lambda: jobs.submit(ask())) < 2 * first
    assert counted.cost(lambda: finish_one(counted.database)) < 2 * first_claim


def test_the_count_sees_what_goes_through_all_rows(counted: Counted) -> None:
    jobs = jobs_of(counted.database)

    def read_all() -> None:
        with counted.database.writing() as connection:
            connection.exec_driver_sql("SELECT max(turn) FROM jobs WHERE agent = 'other'")

    jobs.submit(ask())
    first = counted.cost(read_all)
    for _ in range(MANY):
        jobs.submit(ask())

    assert counted.cost(read_all) > 2 * first
