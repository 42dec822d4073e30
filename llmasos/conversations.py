"""Conversations: what was said before, in order, and the summary of what is long past.

A turn's two messages are written in the transaction that commits its reply, so that history holds
finished turns only; it begins where the summary ends. Knows nothing of who said it where.
"""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, tuple_

from llmasos.channels import Earlier
from llmasos.database import Database
from llmasos.events import Reply
from llmasos.generation import Message
from llmasos.jobs import Job, JobStatus
from llmasos.memory import NoRecollection, Recollection
from llmasos.tables import jobs, messages, summaries

HISTORY_LIMIT = 100
"""Most messages that an agent is given of its conversation, beside its summary."""


class Conversations:
    """The conversations there are."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def history(
        self, conversation: str | None, before_job: str, limit: int = HISTORY_LIMIT
    ) -> list[Message]:
        """The latest messages of a conversation that come before a job's and after its summary,
        oldest first.
        """
        if conversation is None:
            return []
        with self._database.reading() as connection:
            rows = _latest(connection, conversation, before_job, limit)
        return [Message(role=row.role, content=row.content, author=row.author) for row in rows]

    def recollection(self, conversation: str | None, before_job: str) -> Recollection:
        """What is remembered of a conversation, as it is for a job."""
        if conversation is None:
            return NoRecollection()
        return ThreadRecollection(self._database, conversation, before_job)

    def known(self, conversation: str) -> bool:
        """Whether any job belongs to this conversation, finished or not."""
        any_job = select(jobs.c.id).where(jobs.c.conversation == conversation).limit(1)
        with self._database.reading() as connection:
            return connection.execute(any_job).first() is not None

    def unfinished(self, conversation: str) -> list[Job]:
        """The jobs of a conversation that are waiting or running, oldest first."""
        open_ones = (
            select(jobs)
            .where(
                jobs.c.conversation == conversation,
                jobs.c.status.in_([each for each in JobStatus if not each.finished]),
            )
            .order_by(jobs.c.position, jobs.c.id)
        )
        with self._database.reading() as connection:
            return [Job.of_row(row) for row in connection.execute(open_ones).mappings()]

    def of_person(self, principal_id: str, limit: int) -> list[Job]:
        """The latest jobs of a person, newest first."""
        own = (
            select(jobs)
            .where(jobs.c.principal == principal_id)
            .order_by(jobs.c.created_at.desc(), jobs.c.id.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [Job.of_row(row) for row in connection.execute(own).mappings()]

    def begin(self, conversation: str, job_id: str, earlier: Sequence[Earlier]) -> None:
        """Keep what was said before a job asked for the first time; done once for a conversation.

        earlier: messages with the time at which each was said, in seconds since the epoch.
        """
        here = select(messages.c.id).where(messages.c.conversation == conversation).limit(1)
        with self._database.writing() as connection:
            if not earlier or connection.execute(here).first() is not None:
                return
            now = time.time()
            rows = [
                {
                    "conversation": conversation,
                    "position": at,
                    "job_id": job_id,
                    "role": message.role,
                    "author": message.author,
                    "content": message.content.replace("\0", ""),
                    "created_at": now,
                }
                for at, message in earlier
            ]
            connection.execute(messages.insert(), rows)

    def begun(self, conversation: str) -> bool:
        """Whether anything is kept of what was said in a conversation."""
        any_message = select(messages.c.id).where(messages.c.conversation == conversation).limit(1)
        with self._database.reading() as connection:
            return connection.execute(any_message).first() is not None

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
                    messages.c.role == "assistant",
                    messages.c.job_id != before_job,
                    tuple_(messages.c.position, messages.c.job_id) < tuple_(*place),
                )
                .order_by(messages.c.position.desc(), messages.c.job_id.desc())
                .limit(1)
            )
            found: str | None = connection.execute(last).scalar()
        return found


class ThreadRecollection:
    """The summary of a conversation in the database: a `memory.Recollection`."""

    def __init__(self, database: Database, conversation: str, job_id: str) -> None:
        self._database, self._conversation, self._job_id = database, conversation, job_id
        with database.reading() as connection:
            row = _summary(connection, conversation, job_id)
        self._text = str(row.text) if row else ""

    @property
    def summary(self) -> str:
        """What was said before the history."""
        return self._text

    def keep(self, summary: str, messages: int) -> None:
        """Keep a new summary, of what the old one says and the oldest messages of the history."""
        with self._database.writing() as connection:
            rows = _latest(connection, self._conversation, self._job_id, HISTORY_LIMIT)
            last = rows[messages - 1]
            kept = {
                "position": last.position,
                "job_id": last.job_id,
                "text": summary.replace("\0", ""),
                "written_at": time.time(),
            }
            put = self._database.insert(summaries).values(conversation=self._conversation, **kept)
            connection.execute(
                put.on_conflict_do_update(index_elements=["conversation"], set_=kept)
            )
        self._text = summary


def _summary(connection: Connection, conversation: str, before_job: str) -> Row[Any] | None:
    """The summary of a conversation, unless it tells of a job or of what comes after it."""
    here = select(jobs.c.position, jobs.c.id).where(jobs.c.id == before_job)
    place = connection.execute(here).one_or_none()
    if place is None:
        return None
    query = select(summaries).where(
        summaries.c.conversation == conversation,
        tuple_(summaries.c.position, summaries.c.job_id) < tuple_(*place),
    )
    return connection.execute(query).one_or_none()


def _latest(
    connection: Connection, conversation: str, before_job: str, limit: int
) -> list[Row[Any]]:
    """The latest messages between the summary and a job, oldest first."""
    here = select(jobs.c.position, jobs.c.id).where(jobs.c.id == before_job)
    place = connection.execute(here).one_or_none()
    if place is None:
        return []
    summary = _summary(connection, conversation, before_job)
    at = tuple_(messages.c.position, messages.c.job_id)
    since = [at > tuple_(summary.position, summary.job_id)] if summary else []
    query = (
        select(messages)
        .where(messages.c.conversation == conversation, at < tuple_(*place), *since)
        .order_by(messages.c.position.desc(), messages.c.job_id.desc(), messages.c.id.desc())
        .limit(limit)
    )
    return list(reversed(connection.execute(query).all()))


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
    author = request.principal.name if request.principal.channel else ""
    question = {"role": "user", "author": author, "content": request.text}
    answer = {"role": "assistant", "author": "", "content": reply.text.replace("\0", "")}
    connection.execute(messages.insert(), [{**turn, **said} for said in (question, answer)])
