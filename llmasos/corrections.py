"""Corrections: what people change in what they have asked, or take back.

A question that nobody has begun with is changed or dropped; one that was answered stays answered,
and the conversation notes what became of it. Who may correct what is decided by the door that the
correction comes through. Start reading at `Corrections.edit` and `Corrections.delete`.
"""

import time
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, select, update

from llmasos.acceptance import fingerprint
from llmasos.database import Database
from llmasos.jobs import Job, Jobs, JobStatus
from llmasos.request import Request
from llmasos.tables import deliveries, jobs, messages, posts, summaries

WAITING = (JobStatus.QUEUED, JobStatus.FAILED, JobStatus.CANCELLED)
"""States in which a job's question may be replaced: whoever runs it next reads it."""


@dataclass(frozen=True)
class Said:
    """A message as its source names it."""

    conversation: str
    order: float
    """The source's own timestamp in seconds."""
    key: str
    """The idempotency key of the job that it made, if it made one."""


class Corrections:
    """Applies corrections; doing one twice changes nothing more."""

    def __init__(self, database: Database, accepted: Jobs) -> None:
        self._database, self._jobs = database, accepted

    def edit(self, request: Request, said: Said, edited_at: float) -> None:
        """A message reads otherwise now.

        request: the message as it reads now. edited_at: the source's time of the change.
        Raises what `Jobs.submit` raises for a request that cannot be taken.
        """
        with self._database.writing() as connection:
            job = _job(connection, said.key)
            if job is None:
                _reword(connection, said, request.text)
            elif job["status"] in WAITING:
                request = self._jobs.checked(request)
                connection.execute(
                    update(jobs)
                    .where(jobs.c.id == job["id"])
                    .values(
                        request=request.model_dump_json(),
                        agent=request.agent,
                        fingerprint=fingerprint(request),
                    )
                )
            elif not _noted(connection, said.conversation, edited_at):
                connection.execute(
                    messages.insert().values(
                        conversation=said.conversation,
                        position=edited_at,
                        job_id=job["id"],
                        role="user",
                        author=request.principal.name,
                        content=f"(I changed what I had asked. It reads now: {request.text})",
                        created_at=time.time(),
                    )
                )

    def delete(self, said: Said) -> Job | None:
        """A message is gone: forget its words, and stop the job that it made; gives that job."""
        with self._database.writing() as connection:
            connection.execute(
                messages.delete().where(
                    messages.c.conversation == said.conversation,
                    messages.c.position == said.order,
                    messages.c.role == "user",
                )
            )
            _forget_summary(connection, said)
            job = _job(connection, said.key)
            if job is None or JobStatus(job["status"]).finished:
                return None
            if job["status"] == JobStatus.QUEUED and not _seen(connection, job["id"]):
                gone = {"state": "refused", "error": "the question was deleted"}
                connection.execute(
                    update(deliveries).where(deliveries.c.job_id == job["id"]).values(gone)
                )
        return self._jobs.cancel(job["id"])


def _job(connection: Connection, key: str) -> RowMapping | None:
    of_key = select(jobs.c.id, jobs.c.status).where(jobs.c.idempotency_key == key)
    return connection.execute(of_key.with_for_update()).mappings().first()


def _reword(connection: Connection, said: Said, text: str) -> None:
    """Change what the conversation holds of a message that made no job."""
    connection.execute(
        update(messages)
        .where(
            messages.c.conversation == said.conversation,
            messages.c.position == said.order,
            messages.c.role == "user",
        )
        .values(content=text)
    )


def _forget_summary(connection: Connection, said: Said) -> None:
    """Drop a summary that tells of a message; it is made anew of what is left."""
    connection.execute(
        summaries.delete().where(
            summaries.c.conversation == said.conversation, summaries.c.position >= said.order
        )
    )


def _noted(connection: Connection, conversation: str, at: float) -> bool:
    here = (messages.c.conversation == conversation, messages.c.position == at)
    return connection.execute(select(messages.c.id).where(*here)).first() is not None


def _seen(connection: Connection, job_id: str) -> bool:
    """Whether something of a job's answer may stand somewhere."""
    of_job = select(posts.c.part).where(posts.c.job_id == job_id).limit(1)
    return connection.execute(of_job).first() is not None
