"""The keeper: renews the leases of all jobs that a worker holds, and sees when one must stop.

One thread and one statement a beat, however many jobs run. It needs no help from the threads that
run them: a job past its deadline, cancelled or lost is stopped whatever its agent is doing.
"""

import threading
import time
from collections.abc import Callable

import structlog

from llmasos.errors import DeadlineExceeded, JobCancelled, JobError, LeaseLost, StateError
from workers.claims import Claim, Claims

log = structlog.get_logger()

LONGEST_BEAT = 1.0
"""Seconds between two beats at most: how soon a cancelled job is stopped."""


class Hold:
    """One job that is held. seconds: how long it may run; stop: called once if it must end."""

    def __init__(self, claim: Claim, seconds: float, stop: Callable[[JobError], None]) -> None:
        self.claim, self.seconds, self._stop = claim, seconds, stop
        self.deadline = time.monotonic() + seconds
        self.reason: JobError | None = None
        """Why it must stop; None: it need not."""
        self.closing = False
        """Set before the write that lets the job go: then it is not ours, and not lost either."""

    def allow(self, seconds: float) -> None:
        """Let it run for so long, where that is longer."""
        if seconds > self.seconds:
            self.deadline += seconds - self.seconds
            self.seconds = seconds

    def checkpoint(self) -> None:
        """Raises JobCancelled, DeadlineExceeded or LeaseLost when the work must stop."""
        if self.reason is not None:
            raise self.reason

    def lose(self) -> None:
        """Have the work stop without an outcome: the job is no longer ours."""
        self.end(LeaseLost(self.claim.job.id, self.claim.attempt))

    def end(self, reason: JobError) -> None:
        """Have the work stop; only the first reason counts."""
        if self.reason is None:
            self.reason = reason
            # On a thread of its own: stopping writes and delivers, and the beat must go on.
            threading.Thread(target=self._stop, args=(reason,), daemon=True).start()


class Keeper:
    """Keeps what one worker holds."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._beat = min(claims.lease_seconds / 3, LONGEST_BEAT)
        self._holds: dict[tuple[str, int], Hold] = {}
        self._change = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Stop beating; what is still held will fall due."""
        with self._change:
            self._stopping = True
            self._change.notify_all()
        self._thread.join()

    def keep(self, hold: Hold) -> None:
        """Keep a job from now on."""
        with self._change:
            self._holds[hold.claim.job.id, hold.claim.attempt] = hold

    def release(self, hold: Hold) -> None:
        """Keep it no longer."""
        with self._change:
            self._holds.pop((hold.claim.job.id, hold.claim.attempt), None)
            self._change.notify_all()

    def held(self) -> list[Hold]:
        """What is held now."""
        with self._change:
            return list(self._holds.values())

    def wait_until_free(self, seconds: float) -> bool:
        """Wait until nothing is held; whether that came."""
        with self._change:
            return self._change.wait_for(lambda: not self._holds, timeout=seconds)

    def _work(self) -> None:
        while not self._stopping:
            try:
                self.beat()
            except Exception as error:
                log.error("keeper.broke", kind=type(error).__name__)
                log.debug("keeper.broke", exc_info=error)
            with self._change:
                self._change.wait_for(lambda: self._stopping, timeout=self._beat)

    def beat(self) -> None:
        """Renew all leases once and stop what must stop."""
        holds = self.held()
        if not holds:
            return
        now = time.monotonic()
        for hold in holds:
            if now > hold.deadline:
                hold.end(DeadlineExceeded(hold.claim.job.id, hold.seconds))
        try:
            renewal = self._claims.renew([(h.claim.job.id, h.claim.attempt) for h in holds])
        except StateError as error:
            log.warning("keeper.not_renewed", jobs=len(holds), error=str(error))
            return
        still_held = set(map(id, self.held()))
        for hold in holds:
            job_id, attempt = hold.claim.job.id, hold.claim.attempt
            if id(hold) not in still_held:
                continue  # released meanwhile, as it should be
            if (job_id, attempt) not in renewal.kept:
                if not hold.closing:
                    hold.lose()
            elif job_id in renewal.cancelled:
                hold.end(JobCancelled(job_id))
