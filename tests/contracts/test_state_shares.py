"""Who goes first, and how many of whom run at a time, on each database."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from llmasos.database import Database
from llmasos.events import Reply
from llmasos.generation import Usage
from llmasos.jobs import Jobs
from llmasos.queues import Limits
from llmasos.request import Principal, Queue, Request
from workers.claims import Claim, Claims
from workers.outcomes import Outcomes


@pytest.fixture
def submit(jobs: Jobs) -> Callable[..., str]:
    """Submits a job for somebody; gives its id."""

    def make(who: str, agent: str = "echo", **fields: Any) -> str:
        request = Request(agent=agent, text="x", principal=Principal(id=who), **fields)
        return jobs.submit(request).job.id

    return make


def claims(database: Database, worker: str = "w", **limits: Any) -> Claims:
    return Claims(database, worker, 60, Limits(**limits))


def taken(worker: Claims, queue: Queue = Queue.INTERACTIVE) -> str | None:
    claim = worker.take(queue)
    return claim.job.id if claim else None


def test_who_asks_much_does_not_hold_up_who_asks_once(database: Database, submit: Any) -> None:
    many = [submit("ann") for _ in range(5)]
    one = submit("ben")

    order = [taken(claims(database)) for _ in range(6)]

    assert order == [many[0], one, *many[1:]]


def test_each_queue_has_its_own_jobs(database: Database, submit: Any) -> None:
    later = submit("ann", queue=Queue.BATCH)
    now = submit("ann")
    worker = claims(database)

    assert taken(worker) == now
    assert taken(worker) is None
    assert taken(worker, Queue.BATCH) == later


def test_a_user_runs_no_more_at_a_time_than_allowed(database: Database, submit: Any) -> None:
    mine = [submit("ann") for _ in range(3)]
    other = submit("ben")
    worker = claims(database, per_user=2)

    assert {taken(worker) for _ in range(3)} == {mine[0], mine[1], other}
    assert taken(worker) is None


def test_an_agent_runs_no_more_at_a_time_than_allowed(database: Database, submit: Any) -> None:
    first, _, other = submit("ann"), submit("ben"), submit("cem", agent="billing")
    worker = claims(database, per_agent={"echo": 1})

    assert {taken(worker), taken(worker)} == {first, other}
    assert taken(worker) is None


def test_a_job_that_ended_makes_room(database: Database, submit: Any) -> None:
    submit("ann")
    second = submit("ann")
    worker = claims(database, per_user=1)
    running = worker.take()
    assert isinstance(running, Claim)

    Outcomes(database).succeed(running, "echo", Reply(text="done"), Usage())

    assert taken(worker) == second


def test_a_job_whose_worker_died_does_not_stand_in_its_own_way(
    database: Database, submit: Any
) -> None:
    lost = submit("ann")
    assert taken(Claims(database, "dead", -1.0, Limits(per_user=1))) == lost

    assert taken(claims(database, per_user=1)) == lost


def test_workers_that_take_at_once_keep_to_the_limit(database: Database, submit: Any) -> None:
    for _ in range(12):
        submit("ann")

    with ThreadPoolExecutor(6) as pool:
        workers = [claims(database, f"w{number}", per_user=3) for number in range(12)]
        found = list(pool.map(taken, workers))

    assert len([each for each in found if each]) == 3
