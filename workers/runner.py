"""The runner: takes jobs as long as there are any, and stops in good order.

The one loop behind a Celery task, the sweeper and `llmasos ask`. Start reading at `Runner.work`.
"""

import contextlib
import threading
import time

import structlog

from llmasos.errors import LLMasOSError, StateError
from llmasos.queues import Limits
from llmasos.request import Queue
from workers.attempt import Attempt
from workers.claims import Claim, Claims
from workers.keeper import Keeper
from workers.means import Means

log = structlog.get_logger()

LOOK = 10.0
"""Seconds between two looks at whose wake-ups come."""
SHARED = (
    "A wake-up names a job that is not here: another installation uses the same broker, and each "
    "takes the other's. Give each a virtual host (RabbitMQ) or a number (Redis) of its own."
)


class Runner:
    """Runs jobs in this process.

    worker: this worker's name, unique for all time; limits: how many jobs of whom run at a time.
    """

    def __init__(self, means: Means, worker: str, limits: Limits | None = None) -> None:
        self._means = means
        self.claims = Claims(means.database, worker, means.settings.lease_seconds, limits)
        self._room_for_batch = threading.BoundedSemaphore(means.settings.threads_for_batch)
        self._keeper = Keeper(self.claims)
        self._stopping = threading.Event()
        self._next_look = 0.0
        self.missed_wake = False
        """Whether a wake-up came to nothing since the database did not answer."""

    def start(self) -> None:
        """Begin to keep leases; call it before the first job."""
        self._keeper.start()

    @property
    def running(self) -> int:
        """How many jobs it holds now."""
        return len(self._keeper.held())

    def work(self, queue: Queue = Queue.INTERACTIVE) -> int:
        """Take and run jobs on this thread until none is eligible; gives how many it ran.

        queue: the least urgent one to take from.
        """
        done = 0
        while not self._stopping.is_set() and any(
            self._run_one(each) for each in self._open(queue)
        ):
            done += 1
        return done

    def woken(self, job_id: str, queue: Queue) -> int:
        """Follow a wake-up: `work`. job_id: the job that it names, which others may have by now."""
        done = self.work(queue)
        if not done and time.monotonic() > self._next_look:
            self._next_look = time.monotonic() + LOOK
            self._tell_of_others(job_id)
        return done

    def _tell_of_others(self, job_id: str) -> None:
        """Say it where another installation's wake-ups come here, and ours go there."""
        with contextlib.suppress(StateError):  # `work` has said so
            if not self.claims.knows(job_id):
                log.warning("broker.shared", job=job_id, reason=SHARED)

    def _open(self, queue: Queue) -> tuple[Queue, ...]:
        served = self._means.settings.queues
        return tuple(each for each in queue.up_to_here if each in served)

    def _run_one(self, queue: Queue) -> bool:
        """Run the best job of a queue, if there is one and room for it."""
        has_time = queue is Queue.BATCH
        if has_time and not self._room_for_batch.acquire(blocking=False):
            return False  # who leaves the room looks for the next
        try:
            claim = self.claims.take(queue)
            self.missed_wake = False
            if claim is not None:
                self.run(claim)
            return claim is not None
        except StateError as error:
            self.missed_wake = True
            log.warning("runner.no_claim", error=str(error))
            return False
        finally:
            if has_time:
                self._room_for_batch.release()

    def run(self, claim: Claim) -> None:
        """Run one claimed job to its end."""
        if self._stopping.is_set():  # the signal came between the claim and here
            self._give_back(claim)
            return
        Attempt(self._means, self._keeper, claim).go()

    def stop_claiming(self) -> None:
        """Take no more jobs."""
        self._stopping.set()

    def drain(self, seconds: float) -> None:
        """Let running jobs end, for so many seconds; then give them back to the others."""
        self.stop_claiming()
        if not self._keeper.wait_until_free(seconds):
            for hold in self._keeper.held():
                self._give_back(hold.claim)
                hold.lose()
        self._keeper.stop()

    def _give_back(self, claim: Claim) -> None:
        try:
            self.claims.give_back(claim)
            log.info("job.given_back", job=claim.job.id)
            self._means.dispatcher.wake(claim.job.id, claim.job.request.queue)()
        except LLMasOSError as error:  # it falls due by itself, only later
            log.info("job.left", job=claim.job.id, error=str(error))


def worker_name(host: str, pid: int) -> str:
    """A name for a worker that no other has had."""
    return f"{host[:60]}:{pid}:{time.time_ns():x}"
