"""Conversations: what was said before, in order.

A turn's two messages are written in the transaction that commits its reply, so that history holds
finished turns only. Knows nothing of who said it where.
"""

from sqlalchemy import Connection, select, tuple_

from llmasos.database import Database
from llmasos.events import Reply
from llmasos.generation import Message
from llmasos.jobs import Job
from llmasos.tables import jobs, messages

HISTORY_LIMIT = 20
"""Most messages that an agent is given of its conversation."""


class Conversations:
    """The conversations there are."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def history(
        self, conversation: str | None, before_job: str, limit: int = HISTORY_LIMIT
    ) -> list[Message]:
        """The latest messages of a conversation that come before a job's, oldest first."""
        if conversation is None:
            return []
        here = select(jobs.c.position, jobs.c.id).where(jobs.c.id == before_job)
        with self._database.reading() as connection:
            place = connection.execute(here).one_or_none()
            if place is None:
                return []
            latest = (
                select(messages.c.role, messages.c.content)
                .where(
                    messages.c.conversation == conversation,
                    tuple_(messages.c.position, messages.c.job_id) < tuple_(*place),
                )
                .order_by(
                    messages.c.position.desc(), messages.c.job_id.desc(), messages.c.id.desc()
                )
                .limit(limit)
            )
            rows = connection.execute(latest).all()
        return [Message(role=row.role, content=row.content) for row in reversed(rows)]

    def known(self, conversation: str) -> bool:
        """Whether any job belongs to this conversation, finished or not."""
        any_job = select(jobs.c.id).where(jobs.c.conversation == conversation).limit(1)
        with self._database.reading() as connection:
            return connection.execute(any_job).first() is not None

    def last_agent(self, conversation: str | None, before_job: str) -> str | None:
        """Who answered last in a conversation, before a job's turn."""
        if conversation is None:
            return None
        here = select(jobs.c.position, jobs.c.id).where(jobs.c.id == before_job)
        with self._database.reading() as connection:
            place = connection.execute(here).one_or_none()
            if place is None:
                return None
            last = (
                select(jobs.c.agent)
                .join(messages, messages.c.job_id == jobs.c.id)
                .where(
                    messages.c.conversation == conversation,
                    tuple_(messages.c.position, messages.c.job_id) < tuple_(*place),
                )
                .order_by(messages.c.position.desc(), messages.c.job_id.desc())
                .limit(1)
            )
            found: str | None = connection.execute(last).scalar()
        return found


def remember(connection: Connection, job: Job, reply: Reply, now: float) -> None:
    """Add a turn to its conversation, within the transaction that commits the reply."""
    request = job.request
    if request.conversation is None:
        return
    turn = {
        "conversation": request.conversation,
        "position": job.created_at if request.order is None else request.order,
        "job_id": job.id,
        "created_at": now,
    }
    said = (("user", request.text), ("assistant", reply.text.replace("\0", "")))
    connection.execute(
        messages.insert(), [{**turn, "role": role, "content": content} for role, content in said]
    )
