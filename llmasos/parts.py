"""Parts: jobs that a job hands to other agents, and waits for.

Each part is a job of its own. The job that waits for them is shown as running; no worker holds it
and it is not due, until the last of its parts is finished. Whoever changes both rows locks the
waiting job's first. Knows the tables, and neither doors nor workers. Start reading at `create`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, update

from llmasos.database import Database
from llmasos.events import Child, Failure, Reply
from llmasos.queues import turn
from llmasos.tables import jobs

ENDED = ("succeeded", "failed", "cancelled")


def create(
    database: Database, connection: Connection, parent: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Store the parts of a job. rows: theirs in the table of jobs; those there are stay."""
    insert = (
        database.insert(jobs)
        .values(due_at=database.now(), turn=turn(database), parent=parent)
        .on_conflict_do_nothing(index_elements=["idempotency_key"])
    )
    for row in rows:
        of = {"of_principal": row["principal"], "of_queue": row["queue"]}
        connection.execute(insert, {**row, **of})


def children(connection: Connection, parent: str) -> dict[str, tuple[Child, ...]]:
    """What came of a job's parts, by the key under which they were delegated, in order."""
    query = select(jobs).where(jobs.c.parent == parent).order_by(jobs.c.id)
    found: dict[str, list[Child]] = {}
    for row in connection.execute(query):
        child = Child(
            job_id=row.id,
            agent=row.agent,
            text=json.loads(row.request)["text"],
            reply=Reply.from_json(json.loads(row.reply)) if row.reply else None,
            error=Failure.model_validate_json(row.error) if row.error else None,
        )
        found.setdefault(row.part, []).append(child)
    return {key: tuple(each) for key, each in found.items()}


def progress(connection: Connection, parent: str) -> tuple[int, int]:
    """How many of a job's parts are not finished, and how many there are of those in question."""
    last = select(func.max(jobs.c.created_at)).where(jobs.c.parent == parent).scalar_subquery()
    newest = select(jobs.c.part).where(jobs.c.parent == parent, jobs.c.created_at == last).limit(1)
    query = select(jobs.c.status).where(
        jobs.c.parent == parent, jobs.c.part == newest.scalar_subquery()
    )
    states = connection.scalars(query).all()
    return sum(state not in ENDED for state in states), len(states)


def unfinished(connection: Connection, parent: str) -> list[str]:
    """The parts of a job that are not finished."""
    query = select(jobs.c.id).where(jobs.c.parent == parent, jobs.c.status.not_in(ENDED))
    return list(connection.scalars(query))


def depth(connection: Connection, job_id: str) -> int:
    """How many jobs a job is a part of, one within another."""
    parent = connection.execute(select(jobs.c.parent).where(jobs.c.id == job_id)).scalar()
    return 0 if parent is None else 1 + depth(connection, parent)


def lock_parent(connection: Connection, job_id: str) -> str | None:
    """The job that this one is a part of, its row held for this transaction."""
    parent: str | None = connection.execute(
        select(jobs.c.parent).where(jobs.c.id == job_id)
    ).scalar()
    if parent is not None:
        connection.execute(select(jobs.c.id).where(jobs.c.id == parent).with_for_update())
    return parent


def resume(database: Database, connection: Connection, parent: str) -> bool:
    """Let a job go on if it waits for its parts and the last is finished; whether it does."""
    if unfinished(connection, parent):
        return False
    waits = (jobs.c.id == parent, jobs.c.status == "running", jobs.c.due_at.is_(None))
    values = {"due_at": database.now(), "wakes": 0, "wake_at": 0.0}
    return bool(connection.execute(update(jobs).where(*waits).values(**values)).rowcount)


def forget(connection: Connection, parent: str) -> None:
    """Let a job hand out its parts anew, unless all of them succeeded."""
    failed = select(jobs.c.id).where(jobs.c.parent == parent, jobs.c.status != "succeeded").limit(1)
    if connection.execute(failed).first() is not None:
        loose = {"parent": None, "part": None, "idempotency_key": None}
        connection.execute(update(jobs).where(jobs.c.parent == parent).values(**loose))
