"""A job as it is read: what was asked, where it stands, what came of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping

from llmasos.approvals import Waiting
from llmasos.events import Failure, Reply
from llmasos.generation import Usage
from llmasos.request import Request


class JobStatus(StrEnum):
    """What state a job is in."""

    QUEUED = "queued"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """Whether nothing more will come of it by itself."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


OPEN = tuple(status.value for status in JobStatus if not status.finished)


@dataclass(frozen=True)
class Delivery:
    """How far the answer has come to one of its addresses."""

    address: str
    state: str
    """`pending`; `asked`: what the job waits for stands there; `delivered`; `refused`: for good."""
    error: str | None = None
    """Why the last try failed."""


@dataclass(frozen=True)
class Job:
    """A request that was accepted, as it stood when it was read."""

    id: str
    agent: str
    status: JobStatus
    attempts: int
    created_at: float
    """Times are seconds since the epoch."""
    started_at: float | None
    finished_at: float | None
    request: Request
    reply: Reply | None
    error: Failure | None
    usage: Usage
    deliveries: tuple[Delivery, ...] = ()
    waiting: Waiting | None = None
    """What a person must decide before it goes on."""
    parent: str | None = None
    """The job that this one is a part of."""
    waiting_for: str | None = None
    """What holds it up, in words."""

    @property
    def owner(self) -> str:
        """Who may see and stop it besides those who keep all jobs."""
        return self.request.owner or self.request.principal.id

    @classmethod
    def of_row(
        cls,
        row: RowMapping,
        brought: Sequence[Delivery] = (),
        waiting: Waiting | None = None,
        waiting_for: str | None = None,
    ) -> "Job":
        """The job that a row of the table holds."""
        return cls(
            id=row["id"],
            agent=row["agent"],
            status=JobStatus(row["status"]),
            attempts=row["runs"],
            created_at=row["created_at"],
            started_at=row["started_at"],
            finished_at=row["finished_at"],
            request=Request.model_validate_json(row["request"]),
            reply=Reply.from_json(json.loads(row["reply"])) if row["reply"] else None,
            error=Failure.model_validate_json(row["error"]) if row["error"] else None,
            usage=Usage.model_validate_json(row["usage"]) if row["usage"] else Usage(),
            deliveries=tuple(brought),
            waiting=waiting,
            parent=row["parent"],
            waiting_for=waiting_for,
        )

    def as_json(self) -> dict[str, Any]:
        """The job as every door shows it."""
        return {
            "id": self.id,
            "parent": self.parent,
            "agent": self.agent,
            "status": str(self.status),
            "attempts": self.attempts,
            "created_at": iso(self.created_at),
            "started_at": iso(self.started_at),
            "finished_at": iso(self.finished_at),
            "waiting_for": self.waiting_for,
            "approval": self.waiting.as_json() if self.waiting else None,
            "reply": self.reply.as_json() if self.reply else None,
            "error": self.error.model_dump(exclude={"kind"}) if self.error else None,
            "usage": self.usage.model_dump(),
            "deliveries": [
                {"address": each.address, "state": each.state, "error": each.error}
                for each in self.deliveries
            ],
        }


@dataclass(frozen=True)
class Submitted:
    """What became of a request: its job, and whether this call made it."""

    job: Job
    new: bool


def iso(seconds: float | None) -> str | None:
    """A time as JSON shows it."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
