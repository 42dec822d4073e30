"""Queues and shares: which job goes before which, and how many of whom run at a time.

Jobs of the interactive queue go before those of the batch queue. Within a queue every job has a
turn: the time of its submission, or somewhat after the turn of its submitter's last waiting job if
that is later. So whoever submits a hundred jobs at once does not hold up whoever submits one after.
Knows the table of jobs, and neither workers nor doors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, bindparam, func, select

from llmasos.database import Database
from llmasos.tables import jobs

TURN_SECONDS = 5.0
"""How much later each further waiting job of one submitter has its turn."""


@dataclass(frozen=True)
class Limits:
    """How many jobs may run at a time. 0: as many as there are threads."""

    per_user: int = 0
    per_agent: Mapping[str, int] = field(default_factory=dict)


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
