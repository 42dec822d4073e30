"""Parts of a job, on every database: the last one brings the job back, however they end."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from llmasos.database import Database
from llmasos.errors import WrongJobState
from llmasos.events import Delegate, Part, Reply
from llmasos.generation import Usage
from llmasos.jobs import Jobs
from llmasos.request import Request
from llmasos.settings import JobSettings
from workers.claims import Claim, Claims
from workers.outcomes import Outcomes


@pytest.fixture
def divided(jobs: Jobs, database: Database) -> Callable[[int], tuple[Claim, list[Claim]]]:
    """A job that waits for so many parts, and the claims on these."""

    def make(number: int) -> tuple[Claim, list[Claim]]:
        jobs.submit(Request(agent="echo", text="all"))
        claims = Claims(database, "worker", 60)
        whole = claims.take()
        assert whole is not None
        delegate = Delegate(parts=tuple(Part(agent="echo", text=str(n)) for n in range(number)))
        Outcomes(database).delegate(whole, "echo", delegate, Usage(), JobSettings())
        taken = [claims.take() for _ in range(number)]
        return whole, [each for each in taken if each]

    return make


def test_parts_that_end_at_once_bring_the_job_back_once(
    divided: Callable[[int], tuple[Claim, list[Claim]]], database: Database
) -> None:
    for _ in range(3):
        whole, below = divided(4)
        start = threading.Barrier(4)

        def end(claim: Claim, start: threading.Barrier = start) -> str | None:
            start.wait()
            due = Outcomes(database).succeed(claim, "echo", Reply(text="x"), Usage())
            return due.job_id if due else None

        with ThreadPoolExecutor(4) as pool:
            woken = [each for each in pool.map(end, below) if each]

        assert woken == [whole.job.id]
        resumed = Claims(database, "other", 60).take()
        assert resumed is not None
        assert (resumed.job.id, resumed.lost_leases) == (whole.job.id, 0)
        Outcomes(database).succeed(resumed, "echo", Reply(text="all"), Usage())


def test_cancelling_while_parts_end_leaves_nothing_behind(
    jobs: Jobs, divided: Callable[[int], tuple[Claim, list[Claim]]], database: Database
) -> None:
    whole, below = divided(3)

    def end(claim: Claim) -> None:
        Outcomes(database).succeed(claim, "echo", Reply(text="x"), Usage())

    def cancel(_: object) -> None:
        try:
            jobs.cancel(whole.job.id)
        except WrongJobState:
            return

    with ThreadPoolExecutor(4) as pool:
        stopped = pool.submit(cancel, None)
        list(pool.map(end, below))
        stopped.result()

    left = Claims(database, "other", 60).take()
    assert jobs.find(whole.job.id).status.finished or (left and left.job.id == whole.job.id)
