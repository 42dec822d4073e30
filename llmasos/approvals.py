"""Approvals: what a person must decide before a job goes on.

A row is written when an agent asks (`workers/outcomes.py`) and closed when somebody decides, when
the time is up or when the job is cancelled. The job is held by no worker meanwhile.
Knows the tables, and neither doors nor workers. Start reading at `ask`.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select, update

from llmasos.events import ASKER, Approval, Decision
from llmasos.request import LOCAL, Principal
from llmasos.tables import approvals, deliveries


class ApprovalState(StrEnum):
    """What has become of a question."""

    PENDING = "pending"
    GRANTED = "granted"
    DECLINED = "declined"
    EXPIRED = "expired"
    """Nobody decided in time."""
    WITHDRAWN = "withdrawn"
    """The job was cancelled."""


@dataclass(frozen=True)
class Waiting:
    """An approval that nobody has decided on yet."""

    approval: Approval
    expires_at: float
    """In seconds since the epoch: the job is cancelled then."""

    def as_json(self) -> dict[str, Any]:
        """The approval as the job's JSON shows it."""
        until = datetime.fromtimestamp(self.expires_at, UTC).isoformat(timespec="milliseconds")
        return {**self.approval.model_dump(mode="json", exclude={"kind"}), "expires_at": until}


def may_decide(approval: Approval, asker: Principal, by: Principal) -> bool:
    """Whether someone may decide. Whoever sits at this machine may: everything here is theirs."""
    if by.id == LOCAL.id or (ASKER in approval.to and by.id == asker.id):
        return True
    return by.among(approval.to)


def ask(connection: Connection, job_id: str, approval: Approval, expires_at: float) -> None:
    """Note what a job waits for."""
    connection.execute(
        approvals.insert().values(
            job_id=job_id,
            key=approval.key,
            approval=approval.model_dump_json(),
            state=ApprovalState.PENDING,
            asked_at=time.time(),
            expires_at=expires_at,
        )
    )


def waiting(connection: Connection, job_ids: Sequence[str]) -> dict[str, Waiting]:
    """What each of these jobs waits for, if it does."""
    query = select(approvals).where(
        approvals.c.job_id.in_(job_ids), approvals.c.state == ApprovalState.PENDING
    )
    return {
        row.job_id: Waiting(Approval.model_validate_json(row.approval), row.expires_at)
        for row in connection.execute(query)
    }


def decisions(connection: Connection, job_id: str) -> dict[str, Decision]:
    """What people have decided for a job, by the approval's key."""
    decided = (ApprovalState.GRANTED, ApprovalState.DECLINED)
    query = select(approvals).where(approvals.c.job_id == job_id, approvals.c.state.in_(decided))
    return {
        row.key: Decision(
            granted=row.state == ApprovalState.GRANTED,
            payload=json.loads(row.approval)["payload"],
            by=row.decided_by,
        )
        for row in connection.execute(query)
    }


def latest_state(connection: Connection, job_id: str) -> ApprovalState | None:
    """What became of the last question of a job; None: it asked none."""
    query = (
        select(approvals.c.state)
        .where(approvals.c.job_id == job_id)
        .order_by(approvals.c.asked_at.desc())
        .limit(1)
    )
    found = connection.execute(query).scalar()
    return ApprovalState(found) if found else None


def close(
    connection: Connection, job_id: str, state: ApprovalState, by: Principal | None = None
) -> None:
    """Note what became of the question that a job waits for.

    Wherever the question was shown, what comes of the job is still to be brought.
    """
    pending = (approvals.c.job_id == job_id, approvals.c.state == ApprovalState.PENDING)
    connection.execute(
        update(approvals)
        .where(*pending)
        .values(state=state, decided_by=by.id if by else None, decided_at=time.time())
    )
    connection.execute(
        update(deliveries)
        .where(deliveries.c.job_id == job_id, deliveries.c.state.in_(("asked", "pending")))
        .values(state="pending", tries=0, run_after=0.0, error=None)
    )


def forget(connection: Connection, job_id: str) -> None:
    """Let everything that was not granted be asked again."""
    connection.execute(
        approvals.delete().where(
            approvals.c.job_id == job_id, approvals.c.state != ApprovalState.GRANTED
        )
    )
