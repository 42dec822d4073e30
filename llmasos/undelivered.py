"""Undelivered answers: those that did not get to their place, and are no longer tried.

A place refused them for good, or did not answer for a day. They wait here until somebody has them
brought again. Knows nothing of how answers are brought: that is in `workers/`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Select, select, update

from llmasos.database import Database
from llmasos.errors import BrokerUnavailable, InvalidRequest
from llmasos.jobs import Dispatcher
from llmasos.request import Queue
from llmasos.tables import deliveries, jobs

log = structlog.get_logger()


@dataclass(frozen=True)
class Undelivered:
    """One answer that is not at one of its addresses."""

    job_id: str
    agent: str
    address: str
    tries: int
    error: str
    """Why the last try failed."""
    finished_at: float
    """When the job ended, in seconds since the epoch."""

    def as_json(self) -> dict[str, Any]:
        """It as the command line prints it."""
        ended = datetime.fromtimestamp(self.finished_at, UTC).isoformat(timespec="milliseconds")
        return {
            "job": self.job_id,
            "agent": self.agent,
            "address": self.address,
            "tries": self.tries,
            "error": self.error,
            "finished_at": ended,
        }


class DeadLetters:
    """The list of undelivered answers."""

    def __init__(self, database: Database, dispatcher: Dispatcher) -> None:
        self._database, self._dispatcher = database, dispatcher

    def latest(self, limit: int) -> list[Undelivered]:
        """The latest of them, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(_dead(None).limit(limit)).all()
        return list(_told(rows))

    def replay(self, job_id: str | None) -> list[Undelivered]:
        """Have the answers of a job, or all there are, brought again; gives which.

        Raises InvalidRequest when that job has none.
        """
        with self._database.writing() as connection:
            rows = connection.execute(_dead(job_id)).all()
            ids = sorted({row.job_id for row in rows})
            dead = (deliveries.c.job_id.in_(ids), deliveries.c.state == "refused")
            fresh = {"state": "pending", "tries": 0, "run_after": 0.0, "error": None}
            connection.execute(update(deliveries).where(*dead).values(fresh))
            # A worker that brings it elsewhere right now finds these when it is done.
            at_rest = (jobs.c.id.in_(ids), jobs.c.worker.is_(None))
            due = {"due_at": self._database.now(), "wake_at": 0.0, "wakes": 0, "lost_leases": 0}
            connection.execute(update(jobs).where(*at_rest).values(due))
        if job_id is not None and not rows:
            raise InvalidRequest(
                f"Job {job_id[:40]} has no answer that waits here. `llmasos webhooks dead` lists "
                "those that do."
            )
        for row in rows:
            self._wake(row.job_id, Queue(row.queue))
        return list(_told(rows))

    def _wake(self, job_id: str, queue: Queue) -> None:
        try:
            self._dispatcher.wake(job_id, queue)()
        except BrokerUnavailable as error:  # the sweeper will
            log.debug("job.wake_failed", job=job_id, error=str(error))


def _dead(job_id: str | None) -> Select[Any]:
    query = (
        select(deliveries, jobs.c.agent, jobs.c.queue, jobs.c.finished_at)
        .join(jobs, jobs.c.id == deliveries.c.job_id)
        .where(deliveries.c.state == "refused", jobs.c.finished_at.is_not(None))
        .order_by(jobs.c.finished_at.desc(), deliveries.c.job_id, deliveries.c.address)
    )
    return query if job_id is None else query.where(deliveries.c.job_id == job_id)


def _told(rows: Any) -> Iterator[Undelivered]:
    for row in rows:
        yield Undelivered(
            row.job_id, row.agent, row.address, row.tries, row.error or "", row.finished_at
        )
