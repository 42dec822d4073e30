"""Queues and shares: which job goes before which, and how many of whom run at a time.

Jobs of the interactive queue go before those of the batch queue. Within a queue every job has a
turn: the time of its submission, or somewhat after the turn of its submitter's last waiting job if
that is later. So whoever submits a hundred jobs at once does not hold up whoever submits one after.
Knows the table of jobs, and neither workers nor doors.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, bindparam, func, select

from llmasos.database import Database
from llmasos.request import Queue
from llmasos.settings import Settings
from llmasos.tables import jobs, leases

TURN_SECONDS = 5.0
"""How much later each further waiting job of one submitter has its turn."""


@dataclass(frozen=True)
class Limits:
    """How many jobs may run at a time. 0: as many as there are threads."""

    per_user: int = 0
    per_agent: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, settings: Settings) -> "Limits":
        """The limits of an installation."""
        wanted = {name: each.concurrency for name, each in settings.agents.overrides.items()}
        return cls(settings.jobs.per_user, {name: most for name, most in wanted.items() if most})


def turn(database: Database) -> ColumnElement[float]:
    """The turn of a new job, as an expression over the parameters `of_principal`, `of_queue`."""
    own = jobs.alias("own")
    last = (
        select(func.max(own.c.turn))
        .where(own.c.principal == bindparam("of_principal"))
        .where(own.c.queue == bindparam("of_queue"), own.c.unsettled)
        .scalar_subquery()
    )
    return database.greatest(database.now(), func.coalesce(last, 0.0) + TURN_SECONDS)


def serves(queue: Queue) -> str:
    """How the names of the leases begin by which workers say that they serve a queue."""
    return f"serves:{queue.value}:"


def used(settings: Settings) -> dict[Queue, str]:
    """The queues that jobs are put into as things are set up, and by whom."""
    found = {Queue.INTERACTIVE: "whoever waits for an answer"}
    for hook in settings.webhooks:
        found.setdefault(hook.queue, f"the webhook '{hook.name}'")
    for schedule in settings.schedules:
        found.setdefault(Queue.BATCH, f"the schedule '{schedule.name}'")
    return found


def unserved(database: Database, used: Collection[Queue]) -> list[Queue]:
    """The queues that no living worker serves, though they are used or jobs wait in them.

    None while there is no worker at all: that is another trouble. Raises StateError.
    """
    now = database.now()
    alive = select(leases.c.name).where(leases.c.name.startswith("serves:"), leases.c.until > now)
    waiting = select(jobs.c.queue).where(jobs.c.due_at <= now).distinct()
    with database.reading() as connection:
        names = connection.scalars(alive).all()
        needed = {*used, *map(Queue, connection.scalars(waiting))}
    served = {queue for queue in Queue if any(name.startswith(serves(queue)) for name in names)}
    return [queue for queue in Queue if served and queue in needed - served]


def told(queue: Queue, who: str = "a waiting job") -> str:
    """What to say of a queue that nobody serves. who: uses it."""
    return (
        f"No worker takes jobs from the queue '{queue.value}', which {who} uses. Add it to "
        "`worker.queues` of a worker."
    )
