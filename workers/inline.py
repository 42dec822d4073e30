"""Inline: run a job in this process, for `llmasos ask` and `chat` where no system runs.

The same claim, run and delivery as under Celery; only the wake-up is missing.
"""

import time
from collections.abc import Callable

from llmasos.jobs import Job, Jobs
from llmasos.request import Queue
from workers.runner import Runner

POLL = 0.05
"""Seconds between two looks while the job waits for its turn or its next try."""


class InlineDispatcher:
    """Wakes nobody: whoever submits runs the job. A `jobs.Dispatcher`."""

    def wake(self, job_id: str, queue: Queue) -> Callable[[], None]:
        """Nothing is to be done."""
        return lambda: None


def run_pending(
    runner: Runner, jobs: Jobs, job_id: str, give_up: Callable[[], bool] = lambda: False
) -> Job:
    """Run a job on this thread, after those that its conversation has before it.

    give_up: asked now and then; true ends the waiting. Gives the job as it stands in the end.
    Raises UnknownJob.
    """
    while True:
        claim = runner.claims.take(turn_of=job_id)
        if claim is not None:
            runner.run(claim)
            continue
        job = jobs.find(job_id)
        if job.status.finished or give_up():
            return job
        time.sleep(POLL)  # it waits for another try, or another process has it
