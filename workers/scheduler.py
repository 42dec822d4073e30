"""The scheduler: looks in every worker whether a schedule is due.

All workers look, so that none has to lead; each due time makes one job (`llmasos/schedules.py`).
"""

import threading
import time

import structlog

from llmasos.errors import StateError
from llmasos.jobs import Jobs
from llmasos.schedules import Schedules

log = structlog.get_logger()

LOOK_SECONDS = 1.0


class Scheduler:
    """Submits what is due, on a thread of its own."""

    def __init__(self, schedules: Schedules, jobs: Jobs) -> None:
        self._schedules, self._jobs = schedules, jobs
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="scheduler", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self._schedules.submit_due(self._jobs, time.time())
            except StateError as error:  # what is due now is due then, too
                log.warning("scheduler.waits", error=str(error))
            except Exception as error:
                log.error("scheduler.broke", kind=type(error).__name__)
                log.debug("scheduler.broke", exc_info=error)
