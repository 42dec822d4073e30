"""Causes: what a job that does not move waits for, in words for whoever waits with it.

Told when a job is read, from the tables alone. Knows neither doors nor workers. Start reading at
`causes`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select, tuple_

from llmasos import approvals, parts
from llmasos.database import Database
from llmasos.queues import Limits
from llmasos.tables import deliveries, jobs, leases

SOON = 0.5
"""Seconds that are not worth a word."""


def causes(
    database: Database, connection: Connection, rows: Sequence[Any], limits: Limits
) -> dict[str, str]:
    """What each job waits for, by its id; one that does not wait is left out.

    rows: mappings of the table of jobs; limits: how many of whom run at a time.
    """
    now: float = connection.execute(select(database.now())).scalar_one()
    queued = [row for row in rows if row["status"] == "queued"]
    found = _of_queued(connection, queued, limits, now) if queued else {}
    for row in rows:
        if row["status"] == "running" and row["due_at"] is None:
            left, number = parts.progress(connection, row["id"])
            found[row["id"]] = f"{left} of {number} parts"
    asking = [row["id"] for row in rows if row["status"] == "awaiting_approval"]
    if asking:
        for job_id, each in approvals.waiting(connection, asking).items():
            found[job_id] = f"approval by {', '.join(each.approval.to)}"
    ended = [row["id"] for row in rows if row["finished_at"] and row["due_at"] is not None]
    return found | (_of_deliveries(connection, ended, now) if ended else {})


def _of_queued(
    connection: Connection, rows: Sequence[Any], limits: Limits, now: float
) -> dict[str, str]:
    held_up = _held_up(connection, [row["id"] for row in rows])
    of_user = _running(connection, "principal", now) if limits.per_user else {}
    of_agent = _running(connection, "agent", now) if limits.per_agent else {}
    alive = select(leases.c.name).where(leases.c.name.startswith("worker:"), leases.c.until > now)
    workers = connection.execute(alive.limit(1)).first() is not None

    def cause(row: Any) -> str:
        most = limits.per_agent.get(row["agent"])
        if row["due_at"] is not None and row["due_at"] > now + SOON:
            return f"{row['waits_for'] or 'another try'}, until {_clock(row['due_at'])}"
        if row["id"] in held_up:
            return "another message of this conversation"
        if limits.per_user and of_user.get(row["principal"], 0) >= limits.per_user:
            return f"the limit of {limits.per_user} jobs of one person at a time"
        if most and of_agent.get(row["agent"], 0) >= most:
            return f"the agent's limit of {most} at a time"
        return "a free worker" if workers else "a worker: none is running"

    return {row["id"]: cause(row) for row in rows}


def _held_up(connection: Connection, job_ids: Sequence[str]) -> set[str]:
    """Which of these jobs have an earlier one of their conversation before them."""
    own, earlier = jobs.alias("own"), jobs.alias("earlier")
    query = (
        select(own.c.id)
        .distinct()
        .join(earlier, earlier.c.conversation == own.c.conversation)
        .where(
            own.c.id.in_(job_ids),
            earlier.c.unsettled,
            tuple_(earlier.c.position, earlier.c.id) < tuple_(own.c.position, own.c.id),
        )
    )
    return set(connection.scalars(query))


def _running(connection: Connection, column: str, now: float) -> dict[str, int]:
    """How many jobs of each user or agent run now."""
    held = (jobs.c.status == "running", jobs.c.due_at > now)
    query = select(jobs.c[column], func.count()).where(*held).group_by(jobs.c[column])
    return {row[0]: row[1] for row in connection.execute(query)}


def _of_deliveries(connection: Connection, job_ids: Sequence[str], now: float) -> dict[str, str]:
    """Where an answer still has to go, and what was said there."""
    query = select(deliveries).where(
        deliveries.c.job_id.in_(job_ids),
        deliveries.c.state == "pending",
        deliveries.c.run_after > now + SOON,
    )
    return {
        row.job_id: f"{row.address}, until {_clock(row.run_after)}: {row.error}"
        for row in connection.execute(query.order_by(deliveries.c.run_after.desc()))
    }


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S UTC")
