"""The sweeper: what no wake-up reached is found, by one worker at a time."""

from collections.abc import Callable
from typing import Any

import pytest

from llmasos.database import Database
from llmasos.errors import BrokerUnavailable
from llmasos.events import Reply
from llmasos.jobs import JobStatus
from llmasos.queues import unserved
from llmasos.request import Queue
from llmasos.settings import WorkerSettings
from workers.runner import Runner
from workers.sweeper import Sweeper


class Broker:
    """Notes whom it was asked to wake; can be away."""

    def __init__(self) -> None:
        self.woken: list[str] = []
        self.away = False

    def wake(self, job_id: str, queue: str) -> Callable[[], None]:
        def said() -> None:
            if self.away:
                raise BrokerUnavailable("redis://x", "away")
            self.woken.append(job_id)

        return said


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def runner(bench: Any) -> Runner:
    return bench.runner(lambda turn: iter([Reply(text="swept")]))


@pytest.fixture
def sweeper(bench: Any, runner: Runner, broker: Broker) -> Sweeper:
    made = Sweeper(bench.database, runner, broker, WorkerSettings(threads=4))
    made.broker_connected()
    return made


def pass_time(database: Database, seconds: float) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE jobs SET wake_at = wake_at - {seconds}")


def move_lease(database: Database, seconds: float) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE jobs SET due_at = due_at + {seconds}")


def test_a_job_whose_wake_up_was_lost_is_woken_at_growing_distances(
    bench: Any, sweeper: Sweeper, broker: Broker
) -> None:
    job = bench.submit()
    counts = []

    for seconds in (0, 29, 2, 100, 25, 500, 110, 500, 110):
        pass_time(bench.database, seconds)
        sweeper.tick()
        counts.append(len(broker.woken))

    assert counts == [0, 0, 1, 1, 2, 2, 3, 3, 4]
    assert set(broker.woken) == {job}


def test_a_job_that_waits_for_another_try_is_woken_when_it_is_due(
    bench: Any, sweeper: Sweeper, broker: Broker, runner: Runner
) -> None:
    job = bench.submit()
    with bench.database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET due_at = due_at + 3600, wake_at = due_at + 3600"
        )
    sweeper.tick()
    assert broker.woken == []

    with bench.database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET due_at = due_at - 3600, wake_at = wake_at - 3600"
        )
    sweeper.tick()

    assert broker.woken == [job]


def test_a_job_whose_worker_died_is_woken_as_soon_as_its_lease_ends(
    bench: Any, sweeper: Sweeper, broker: Broker, runner: Runner
) -> None:
    job = bench.submit()
    assert runner.claims.take() is not None
    move_lease(bench.database, 60)
    sweeper.tick()
    assert broker.woken == []

    move_lease(bench.database, -120)
    sweeper.tick()

    assert broker.woken == [job]


def test_a_restarted_broker_gets_its_wake_ups_again_at_once(
    bench: Any, sweeper: Sweeper, broker: Broker
) -> None:
    jobs = [bench.submit() for _ in range(3)]
    sweeper.tick()
    assert broker.woken == []

    sweeper.broker_lost()
    sweeper.broker_connected()
    sweeper.tick()

    assert broker.woken == jobs


def test_without_a_broker_jobs_are_taken_from_the_table(
    bench: Any, sweeper: Sweeper, broker: Broker
) -> None:
    job = bench.submit()
    sweeper.broker_lost()

    sweeper.tick()

    assert bench.finished(job).status == JobStatus.SUCCEEDED


def test_a_broker_that_fails_to_wake_is_not_waited_for(
    bench: Any, sweeper: Sweeper, broker: Broker
) -> None:
    job = bench.submit()
    pass_time(bench.database, 60)
    broker.away = True

    sweeper.tick()

    assert bench.finished(job).status == JobStatus.SUCCEEDED


def test_one_sweeper_leads_at_a_time(
    bench: Any, sweeper: Sweeper, broker: Broker, runner: Runner
) -> None:
    other_broker = Broker()
    other_runner = bench.runner(lambda turn: iter([Reply(text="x")]))
    other = Sweeper(bench.database, other_runner, other_broker, WorkerSettings(threads=4))
    other.broker_connected()
    bench.submit()
    pass_time(bench.database, 60)

    for each in (sweeper, other):
        each.tick()

    assert (len(broker.woken), len(other_broker.woken)) == (1, 0)


def test_live_workers_can_be_counted(bench: Any, sweeper: Sweeper) -> None:
    assert bench.jobs.live_workers() == 0

    sweeper.tick()
    assert bench.jobs.live_workers() == 1

    sweeper.start()
    sweeper.stop()
    assert bench.jobs.live_workers() == 0


def test_what_a_worker_serves_is_known_while_it_lives(
    bench: Any, runner: Runner, broker: Broker
) -> None:
    settings = WorkerSettings(queues=(Queue.INTERACTIVE,))
    sweeper = Sweeper(bench.database, runner, broker, settings)
    assert unserved(bench.database, tuple(Queue)) == []  # nobody lives: another trouble

    sweeper.tick()
    assert unserved(bench.database, ()) == []
    assert unserved(bench.database, tuple(Queue)) == [Queue.BATCH]

    bench.submit(queue=Queue.BATCH)
    assert unserved(bench.database, ()) == [Queue.BATCH]

    sweeper.start()
    sweeper.stop()
    assert unserved(bench.database, ()) == []
