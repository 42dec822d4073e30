"""Outcomes: what came of a job, committed before anyone is told.

Every write names the job's attempt, and an outcome is written once only: whoever comes second (a
stale worker, an agent that overran its deadline) gets LeaseLost. Start reading at `succeed`.
"""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from llmasos import approvals, parts
from llmasos.approvals import ApprovalState
from llmasos.conversations import remember
from llmasos.database import Database
from llmasos.errors import (
    ChannelBusy,
    ChannelError,
    ChannelUnavailable,
    InvalidRequest,
    JobCancelled,
    LeaseLost,
    NotApproved,
)
from llmasos.events import Approval, Delegate, Failure, Reply
from llmasos.generation import Usage
from llmasos.jobs import Due, Job, JobStatus, new_row, next_unsettled, settle_values, stop
from llmasos.request import Queue, Request
from llmasos.settings import JobSettings
from llmasos.tables import deliveries, jobs
from workers.claims import Claim, fence
from workers.retries import NextTry, wait_before_redelivery

# Making a statement costs more than running it: it is made once, and told what to write.
RUNNING_ROW = update(jobs).where(
    jobs.c.id == bindparam("held_id"),
    jobs.c.attempt == bindparam("held_attempt"),
    jobs.c.status == JobStatus.RUNNING.value,
)


class Outcomes:
    """Writes what came of claimed jobs. Every method raises LeaseLost when the claim is void."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def succeed(self, claim: Claim, agent: str, reply: Reply, usage: Usage) -> Due | None:
        """Store the reply, and the turn in its conversation. agent: who answered.

        Gives the job whose turn it is now in the conversation, if this one need not be delivered.
        """
        now = time.time()
        plain = reply.model_dump_json(exclude_none=True)
        with self._database.writing() as connection:
            self._finish(
                connection,
                claim,
                status=JobStatus.SUCCEEDED,
                agent=agent,
                reply=plain,
                **_used(usage),
                finished_at=now,
            )
            remember(connection, claim.job, reply, now)
            return self._following(connection, claim)

    def fail(self, claim: Claim, failure: Failure, usage: Usage, *, cancelled: bool) -> Due | None:
        """Store why there is no reply. Gives what `succeed` gives."""
        with self._database.writing() as connection:
            self._finish(
                connection,
                claim,
                status=JobStatus.CANCELLED if cancelled else JobStatus.FAILED,
                error=failure.model_dump_json(),
                **_used(usage),
                finished_at=time.time(),
            )
            return self._following(connection, claim)

    def suspend(
        self, claim: Claim, agent: str, approval: Approval, usage: Usage, seconds: float
    ) -> Due | None:
        """Have the job wait for a person. agent: who asks; seconds: how long it waits at most.

        Gives what `succeed` gives.
        """
        with self._database.writing() as connection:
            _refuse_cancelled(connection, claim)
            now = connection.execute(select(self._database.now())).scalar_one()
            until = now + seconds
            due = now if self._also_at(connection, claim, approval.places) else until
            values: dict[str, Any] = {"due_at": due, "unsettled": False, "worker": None}
            self._write(
                connection,
                claim,
                status=JobStatus.AWAITING_APPROVAL,
                agent=agent,
                **_used(usage),
                waited=0.0,
                lost_leases=0,
                **({} if claim.addresses else values),
            )
            approvals.ask(connection, claim.job.id, approval, until)
            return self._following(connection, claim)

    def delegate(
        self, claim: Claim, agent: str, delegate: Delegate, usage: Usage, limits: JobSettings
    ) -> list[Due]:
        """Have the job wait for its parts, jobs of their own that stand for the same person.

        Gives the parts. Raises InvalidRequest when there are too many, or parts of parts of parts.
        """
        requests = _requests(claim.job, delegate)
        if len(requests) > limits.max_parts:
            raise InvalidRequest(
                f"The agent '{agent}' divided this into {len(requests)} parts, at most "
                f"{limits.max_parts} are taken (jobs.max_parts)."
            )
        rows = [{**new_row(each), "part": delegate.key} for each in requests]
        with self._database.writing() as connection:
            if parts.depth(connection, claim.job.id) >= limits.max_depth:
                raise InvalidRequest(
                    f"The agent '{agent}' divided a part of a part again, more than "
                    f"{limits.max_depth} deep (jobs.max_depth)."
                )
            _refuse_cancelled(connection, claim)
            self._write(
                connection,
                claim,
                agent=agent,
                **_used(usage),
                waited=0.0,
                lost_leases=0,
                due_at=None,
                worker=None,
            )
            parts.create(self._database, connection, claim.job.id, rows)
        return [Due(row["id"], Queue(row["queue"])) for row in rows]

    def expire(self, claim: Claim) -> Due:
        """Cancel a job that nobody has decided on in time; gives what is to be woken."""
        words = NotApproved("What was asked for", "nobody decided in time").message()
        with self._database.writing() as connection:
            parent = parts.lock_parent(connection, claim.job.id)
            fence(connection, claim.job.id, claim.attempt)
            approvals.close(connection, claim.job.id, ApprovalState.EXPIRED)
            stop(self._database, connection, claim.job.id, words)
            if parent is not None and parts.resume(self._database, connection, parent):
                return Due(parent, claim.job.request.queue)
        return Due(claim.job.id, claim.job.request.queue)  # somebody must bring that

    def routed(self, claim: Claim, agent: str) -> None:
        """The router has chosen an agent: its limits count this job from now on."""
        with self._database.writing(durable="later") as connection:
            self._write(connection, claim, agent=agent)

    def try_again(self, claim: Claim, usage: Usage, again: NextTry) -> None:
        """Put the job back into the queue, for a later time."""
        with self._database.writing() as connection:
            due = connection.execute(select(self._database.now())).scalar_one() + again.seconds
            self._write(
                connection,
                claim,
                status=JobStatus.QUEUED,
                failures=again.failures,
                waited=again.waited,
                **_used(usage),
                due_at=due,
                wake_at=due,
                waits_for=again.waits_for,
                worker=None,
            )

    def delivered(self, claim: Claim, address: str) -> None:
        """The answer, or what the job asks, stands at an address."""
        with self._database.writing() as connection:
            status = fence(connection, claim.job.id, claim.attempt)
            asks = status == JobStatus.AWAITING_APPROVAL
            state = "asked" if asks else "delivered"
            _note(connection, claim, address, state=state, error=None)

    def undelivered(self, claim: Claim, address: str, error: ChannelError) -> float | None:
        """The answer could not be brought to an address.

        Gives the seconds until the next try; None: it will not be tried again.
        """
        tries, wait = self._tries(claim, address) + 1, None
        if isinstance(error, ChannelBusy):  # it named the time: no try is lost
            tries, wait = max(1, tries - 1), error.retry_after
        elif isinstance(error, ChannelUnavailable):
            wait = wait_before_redelivery(tries, error.retry_after)
        state = "refused" if wait is None else "pending"
        later = 0.0 if wait is None else self._database.now() + wait
        with self._database.writing() as connection:
            fence(connection, claim.job.id, claim.attempt)
            values = {"state": state, "tries": tries, "error": str(error), "run_after": later}
            _note(connection, claim, address, **values)
        return wait

    def settle(self, claim: Claim) -> Due | None:
        """Let go of a job whose outcome was brought wherever it could be.

        Gives the job whose turn it is now in the conversation.
        """
        with self._database.writing() as connection:
            status, until = fence(connection, claim.job.id, claim.attempt), None
            if status == JobStatus.AWAITING_APPROVAL:
                until = approvals.waiting(connection, [claim.job.id])[claim.job.id].expires_at
            connection.execute(
                update(jobs)
                .where(jobs.c.id == claim.job.id)
                .values(settle_values(self._database, connection, claim.job.id, until))
            )
            return next_unsettled(connection, claim.job.request.conversation)

    def _finish(self, connection: Any, claim: Claim, **values: Any) -> None:
        """End the job; one with nowhere to bring its outcome is let go of at once."""
        if claim.job.parent is not None:
            parts.lock_parent(connection, claim.job.id)
        values["lost_leases"] = 0  # from here on it counts those lost while bringing the outcome
        if not claim.addresses:
            values |= {"unsettled": False, "due_at": None, "worker": None}
        self._write(connection, claim, **values)

    def _following(self, connection: Any, claim: Claim) -> Due | None:
        if claim.addresses:
            return None
        parent = claim.job.parent
        if parent is not None and parts.resume(self._database, connection, parent):
            return Due(parent, claim.job.request.queue)
        return next_unsettled(connection, claim.job.request.conversation)

    def _write(self, connection: Any, claim: Claim, **values: Any) -> None:
        held = {"held_id": claim.job.id, "held_attempt": claim.attempt}
        if not connection.execute(RUNNING_ROW, {**values, **held}).rowcount:
            raise LeaseLost(claim.job.id, claim.attempt)

    def _also_at(self, connection: Connection, claim: Claim, places: Sequence[str]) -> bool:
        """Have what the job asks brought to these places, too; whether one of them is new."""
        rows = [
            {"job_id": claim.job.id, "address": each, "state": "pending"}
            for each in dict.fromkeys(places)
        ]
        if not rows:
            return False
        new = self._database.insert(deliveries).values(rows).on_conflict_do_nothing()
        return bool(connection.execute(new).rowcount)

    def _tries(self, claim: Claim, address: str) -> int:
        of_this = (deliveries.c.job_id == claim.job.id, deliveries.c.address == address)
        with self._database.reading() as connection:
            return int(
                connection.execute(deliveries.select().where(*of_this)).mappings().one()["tries"]
            )


def _used(usage: Usage) -> dict[str, Any]:
    """What a job has used, as its row holds it."""
    tokens = usage.prompt_tokens + usage.completion_tokens
    return {"usage": usage.model_dump_json(), "tokens": tokens}


def _requests(job: Job, delegate: Delegate) -> list[Request]:
    """What the parts of a job ask. Another run of it asks the same under the same keys."""
    return [
        Request(
            agent=part.agent,
            text=part.text,
            attachments=part.attachments,
            principal=job.request.principal,
            owner=job.owner,
            queue=part.queue or job.request.queue,
            idempotency_key=f"part:{job.id}:{delegate.key}:{number}",
        )
        for number, part in enumerate(delegate.parts)
    ]


def _refuse_cancelled(connection: Connection, claim: Claim) -> None:
    """A job that someone wants stopped waits for nothing. Raises JobCancelled."""
    query = select(jobs.c.cancel_requested).where(jobs.c.id == claim.job.id)
    if connection.execute(query.with_for_update()).scalar():
        raise JobCancelled(claim.job.id)


def _note(connection: Connection, claim: Claim, address: str, **values: Any) -> None:
    """Write how far the answer has come to an address."""
    connection.execute(
        update(deliveries)
        .where(deliveries.c.job_id == claim.job.id, deliveries.c.address == address)
        .values(**values)
    )
