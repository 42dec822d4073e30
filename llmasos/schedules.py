"""Schedules: jobs that the clock submits.

Each due time makes one job, whoever looks and however often, since its idempotency key names it.
What was missed while nothing ran is made up for once. Knows the tables and `Jobs`; who looks when
is in `workers/scheduler.py`. Start reading at `Schedules.submit_due`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import select, update

from llmasos import cron
from llmasos.database import Database
from llmasos.errors import UsageError
from llmasos.jobs import Jobs
from llmasos.request import ADMIN, Principal, Queue, Request
from llmasos.settings import ScheduleSettings
from llmasos.tables import schedules

log = structlog.get_logger()


@dataclass(frozen=True)
class Upcoming:
    """A schedule, and when it is due. Times are seconds since the epoch."""

    schedule: ScheduleSettings
    next_at: float
    last_at: float | None
    """When it was due the last time; None: not yet."""


class Schedules:
    """The schedules of an installation."""

    def __init__(self, database: Database, settings: Sequence[ScheduleSettings]) -> None:
        self._database, self._schedules = database, tuple(settings)
        self._look_at = 0.0  # nothing is due before

    def submit_due(self, jobs: Jobs, now: float) -> None:
        """Submit what is due, and has not been submitted by anyone.

        Raises a StateError when it cannot be stored: call it again.
        """
        if now < self._look_at:
            return
        for each in self._schedules:
            due_at = self._due(each, now)
            if due_at is not None:
                _submit(jobs, each, due_at)
                self._note(each, due_at)
        times = (cron.following(each.cron, each.timezone, now) for each in self._schedules)
        self._look_at = min(times, default=float("inf"))

    def upcoming(self, now: float) -> list[Upcoming]:
        """All schedules, the next to come first."""
        query = select(schedules.c.name, schedules.c.last_at).where(
            schedules.c.last_at.is_not(None)
        )
        with self._database.reading() as connection:
            last = {row.name: row.last_at for row in connection.execute(query)}
        found = [
            Upcoming(each, cron.following(each.cron, each.timezone, now), last.get(each.name))
            for each in self._schedules
        ]
        return sorted(found, key=lambda each: each.next_at)

    def _due(self, schedule: ScheduleSettings, now: float) -> float | None:
        """The due time that is to be seen to; of several that were missed, the last."""
        times = f"{schedule.cron} {schedule.timezone}"
        row = {"times": times, "since": now, "last_at": None}
        new = (
            self._database.insert(schedules)
            .values(name=schedule.name, **row)
            .on_conflict_do_update(
                index_elements=["name"], set_=row, where=schedules.c.times != times
            )
        )
        query = select(schedules).where(schedules.c.name == schedule.name)
        with self._database.reading() as connection:
            known = connection.execute(query).one_or_none()
        if known is None or known.times != times:  # what came before it was set is not due
            with self._database.writing() as connection:
                connection.execute(new)
            return None
        due_at = cron.latest(schedule.cron, schedule.timezone, now)
        return due_at if due_at > (known.last_at or known.since) else None

    def _note(self, schedule: ScheduleSettings, due_at: float) -> None:
        with self._database.writing() as connection:
            connection.execute(
                update(schedules).where(schedules.c.name == schedule.name).values(last_at=due_at)
            )


def _submit(jobs: Jobs, schedule: ScheduleSettings, due_at: float) -> None:
    request = Request(
        agent=schedule.agent,
        text=schedule.text,
        principal=Principal(
            id=f"schedule:{schedule.name}", name=schedule.name, scopes=(ADMIN,)
        ),  # whoever keeps this installation has set it
        reply_to=schedule.reply_to,
        queue=Queue.BATCH,
        idempotency_key=f"schedule:{schedule.name}:{int(due_at)}",
    )
    try:
        submitted = jobs.submit(request)
    except UsageError as error:  # it would be refused again: the next time has another chance
        log.error("schedule.refused", schedule=schedule.name, error=str(error))
        return
    if submitted.new:
        log.info("schedule.submitted", schedule=schedule.name, job=submitted.job.id)
