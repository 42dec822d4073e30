"""Rows: what the row of a job becomes when something happens to it.

Used by `store.py` for what people do, and by workers for what comes of a job.
"""

import secrets
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, or_, select, update

from llmasos import approvals, parts
from llmasos.acceptance import fingerprint
from llmasos.database import Database
from llmasos.errors import JobCancelled, UnknownJob
from llmasos.events import Failure
from llmasos.jobs.job import JobStatus
from llmasos.request import Queue, Request
from llmasos.tables import deliveries, jobs, posts, tool_calls

FIRST_SWEEP = 30.0
"""Seconds after which the sweeper wakes a job whose own wake-up was lost."""


def new_row(request: Request) -> dict[str, Any]:
    """What a request becomes in the table of jobs, but for its turn and when it is due."""
    now = time.time()
    return {
        # Begins with the time, so that jobs of one moment have an order of their own.
        "id": f"{time.time_ns():016x}{secrets.token_hex(4)}",
        "queue": request.queue.value,
        "agent": request.agent,
        "principal": request.principal.id,
        "channel": request.principal.channel,
        "owner": request.owner or request.principal.id,
        "status": JobStatus.QUEUED,
        "request": request.model_dump_json(),
        "conversation": request.conversation,
        "position": now if request.order is None else request.order,
        "idempotency_key": request.idempotency_key,
        "fingerprint": fingerprint(request),
        "created_at": now,
        "wakes": 1,
        "wake_at": now + FIRST_SWEEP,
    }


def locked(connection: Connection, job_id: str) -> JobStatus:
    """A job's status, its row held for this transaction. Raises UnknownJob."""
    query = select(jobs.c.status).where(jobs.c.id == job_id).with_for_update()
    found = connection.execute(query).scalar()
    if found is None:
        raise UnknownJob(job_id)
    return JobStatus(found)


def queue_again(database: Database, connection: Connection, job_id: str) -> None:
    """Let a job that no worker holds run from its start; whoever held it is fenced off."""
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(
            status=JobStatus.QUEUED,
            unsettled=True,
            due_at=database.now(),
            wake_at=database.now() + FIRST_SWEEP,
            attempt=jobs.c.attempt + 1,
            **dict.fromkeys(("failures", "waited", "lost_leases"), 0),
            wakes=1,
            **dict.fromkeys(("worker", "error", "finished_at"), None),
            cancel_requested=False,
            waits_for=None,
        )
    )


def stop(database: Database, connection: Connection, job_id: str, why: str) -> None:
    """Cancel a job that no worker runs; whoever brings something for it is fenced off."""
    failure = Failure(type=JobCancelled.__name__, message=why)
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(
            status=JobStatus.CANCELLED,
            error=failure.model_dump_json(),
            finished_at=time.time(),
            attempt=jobs.c.attempt + 1,
            **settle_values(database, connection, job_id),
        )
    )


def settle_values(
    database: Database, connection: Connection, job_id: str, waits_until: float | None = None
) -> Mapping[str, Any]:
    """What a row becomes when its job has just ended or one round of deliveries is over.

    waits_until: when a job that waits for a person is given up; it holds nobody up. An ended job
    holds up its conversation while no address has had its first try; a later try, due at its own
    time, does not.
    """
    pending = select(deliveries.c.run_after, deliveries.c.tries).where(
        deliveries.c.job_id == job_id, deliveries.c.state == "pending"
    )
    rows = connection.execute(pending).all()
    first_time = any(row.tries == 0 for row in rows)
    times = [float(row.run_after) for row in rows]
    if waits_until is not None:
        first_time = False
        times.append(waits_until)
    due = database.now() if first_time else min(times, default=None)
    return {"unsettled": first_time, "due_at": due, "wake_at": 0.0, "wakes": 0, "worker": None}


class Due(NamedTuple):
    """A job whose time has come."""

    job_id: str
    queue: Queue


def next_unsettled(connection: Connection, conversation: str | None) -> Due | None:
    """The job whose turn it is now in a conversation."""
    if conversation is None:
        return None
    first = (
        select(jobs.c.id, jobs.c.queue)
        .where(jobs.c.conversation == conversation, jobs.c.unsettled)
        .order_by(jobs.c.position, jobs.c.id)
        .limit(1)
    )
    found = connection.execute(first).one_or_none()
    return Due(found.id, Queue(found.queue)) if found else None


def forget_outcome(connection: Connection, job_id: str) -> None:
    """Let a finished job bring, post, ask and call what it did not see through before."""
    approvals.forget(connection, job_id)
    parts.forget(connection, job_id)
    of_job = deliveries.c.job_id == job_id
    fresh = {"state": "pending", "tries": 0, "run_after": 0.0, "error": None}
    connection.execute(update(deliveries).where(of_job).values(fresh))
    was_closed = (posts.c.job_id == job_id, posts.c.state == "closed")
    connection.execute(update(posts).where(*was_closed).values(state="open", streaming=False))
    unknown = or_(tool_calls.c.state == "begun", tool_calls.c.state == "failed")
    connection.execute(tool_calls.delete().where(tool_calls.c.job_id == job_id, unknown))
