"""Pruning: finished jobs that are older than they are to be kept go, with all that belongs to them.

A few at a time, so that nobody waits for it. A conversation loses whole turns, from its beginning;
what is unfinished stays, and so does all that comes after it. Start reading at `Pruner.prune`.
"""

import time
from typing import Any

import structlog
from sqlalchemy import Column, Double, Select, bindparam, exists, or_, select, tuple_

from llmasos.database import Database
from llmasos.jobs import JobStatus
from llmasos.tables import jobs, metadata

log = structlog.get_logger()

DAY = 24 * 3600.0
BATCH = 200
"""Jobs that go in one transaction."""
PAUSE = 60.0
"""Seconds between two looks when there was little to do."""


class Pruner:
    """Removes old jobs. keep_days: for how many days a finished job is kept; 0: for ever."""

    def __init__(self, database: Database, keep_days: float) -> None:
        self._database, self._keep = database, keep_days * DAY
        self._next = 0.0
        self._old = _old()

    def prune(self) -> int:
        """Remove some jobs if it is time to; gives how many. Raises StateError."""
        if not self._keep or time.monotonic() < self._next:
            return 0
        with self._database.writing(durable="later") as connection:
            before = {"before": time.time() - self._keep}
            ids = connection.scalars(self._old, before).all()
            if ids:
                for column in _belonging():
                    connection.execute(column.table.delete().where(column.in_(ids)))
                connection.execute(jobs.delete().where(jobs.c.id.in_(ids)))
        if len(ids) < BATCH:
            self._next = time.monotonic() + PAUSE
        if ids:
            log.info("jobs.pruned", jobs=len(ids))
        return len(ids)


def _belonging() -> list[Column[Any]]:
    """The columns by which rows of other tables belong to a job."""
    return [
        key.parent
        for table in reversed(metadata.sorted_tables)
        if table is not jobs
        for key in table.foreign_keys
        if key.column is jobs.c.id
    ]


def _old() -> Select[str]:
    """Ids of jobs that may go: finished, nothing left to do, nothing kept that stands on them."""
    before = bindparam("before", type_=Double)
    ended = [status.value for status in JobStatus if status.finished]
    earlier, whole = jobs.alias("earlier"), jobs.alias("whole")
    kept_before = exists().where(
        earlier.c.conversation == jobs.c.conversation,
        tuple_(earlier.c.position, earlier.c.id) < tuple_(jobs.c.position, jobs.c.id),
        or_(earlier.c.finished_at.is_(None), earlier.c.finished_at >= before),
    )
    kept_whole = exists().where(whole.c.id == jobs.c.parent, whole.c.finished_at.is_(None))
    query = select(jobs.c.id).where(
        jobs.c.created_at < before,
        jobs.c.finished_at < before,
        jobs.c.status.in_(ended),
        ~jobs.c.unsettled,
        jobs.c.due_at.is_(None),
        ~kept_before,
        ~kept_whole,
    )
    return query.order_by(jobs.c.created_at, jobs.c.id).limit(BATCH)
