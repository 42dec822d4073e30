"""The store of jobs, for the doors. Start reading at `Jobs.submit`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import structlog
from sqlalchemy import Connection, RowMapping, func, select, update

from llmasos import approvals, budgets, parts
from llmasos.acceptance import Acceptance
from llmasos.approvals import ApprovalState
from llmasos.causes import causes
from llmasos.database import Database
from llmasos.errors import (
    AlreadyDecided,
    BrokerUnavailable,
    IdempotencyConflict,
    JobCancelled,
    NotAllowed,
    NotApproved,
    UnknownJob,
    WrongJobState,
)
from llmasos.generation import Usage
from llmasos.jobs.job import OPEN, Delivery, Job, JobStatus, Submitted
from llmasos.jobs.rows import (
    Due,
    forget_outcome,
    locked,
    new_row,
    next_unsettled,
    queue_again,
    stop,
)
from llmasos.queues import Limits, turn
from llmasos.request import Principal, Queue, Request
from llmasos.settings import BudgetSettings, JobSettings
from llmasos.tables import deliveries, jobs, leases

log = structlog.get_logger()

NO_LIMITS, NO_BUDGETS = Limits(), BudgetSettings()


class Dispatcher(Protocol):
    """Wakes a worker. Implementations: `workers.dispatcher`, `workers.inline`."""

    def wake(self, job_id: str, queue: Queue) -> Callable[[], None]:
        """Begin to say that a job is due; gives what waits until that is said.

        The beginning neither waits nor raises. The waiting takes at most 0.25 s and raises
        BrokerUnavailable, which costs nothing but time: the sweeper finds the job.
        """
        ...


class Jobs:
    """The jobs there are, for the doors: submit, find, list, cancel, retry.

    database: where they are kept, its schema up to date.
    dispatcher: who wakes a worker.
    limits: how large a request may be.
    agents: names of the agents there are.
    schemes: the kinds of address that an answer can go to (`slack`, `https`, …).
    may_use: whether a principal may use an agent.
    shares: how many jobs of whom run at a time, for telling what a job waits for.
    """

    def __init__(  # noqa: PLR0913  (the parts that a composition root joins)
        self,
        database: Database,
        dispatcher: Dispatcher,
        limits: JobSettings,
        agents: Collection[str],
        schemes: Collection[str],
        may_use: Callable[[str, Principal], bool],
        *,
        shares: Limits = NO_LIMITS,
    ) -> None:
        self._database, self._shares = database, shares
        self._budgets = limits.budgets
        self._dispatcher = dispatcher
        self._acceptance = Acceptance(limits, tuple(agents), frozenset(schemes), may_use)
        # Making a statement costs more than running it: it is made once.
        self._insert = (
            database.insert(jobs)
            .values(due_at=database.now(), turn=turn(database))
            .on_conflict_do_nothing(index_elements=["idempotency_key"])
            .returning(jobs.c.id)
        )

    def submit(self, request: Request) -> Submitted:
        """Store a request as a job and wake a worker. Once this returns, nothing is lost.

        Raises UnknownAgent, InvalidRequest or NotAllowed for a request that cannot be taken,
        BudgetSpent when its sender has used up theirs, IdempotencyConflict when its key was used
        for another, and DatabaseUnavailable or HomeNotWritable when it cannot be stored.
        """
        request = self._acceptance.check(request)
        row = new_row(request)
        addresses = [
            {"job_id": row["id"], "address": address, "state": "pending"}
            for address in dict.fromkeys(request.reply_to)
        ]
        with self._database.writing(durable="on_flush") as connection:
            turn_of = {"of_principal": row["principal"], "of_queue": row["queue"]}
            if connection.execute(self._insert, {**row, **turn_of}).first() is None:
                repeated = _repeated(connection, request, row["fingerprint"])
                return Submitted(self._found(connection, repeated), new=False)
            if self._budgets != NO_BUDGETS:
                budgets.check(connection, self._budgets, request.principal)
            if addresses:
                connection.execute(deliveries.insert(), addresses)
        # The worker need not wait for the disk, only whoever was promised something.
        said = self._dispatcher.wake(row["id"], request.queue)
        self._database.flush()
        _wait_until(said, row["id"])
        return Submitted(_new_job(row, request), new=True)

    def checked(self, request: Request) -> Request:
        """A request as it would be stored. Raises as `submit` does for one that is not taken."""
        return self._acceptance.check(request)

    def find(self, job_id: str) -> Job:
        """One job. Raises UnknownJob."""
        with self._database.reading() as connection:
            return self._found(connection, job_id)

    def list(
        self,
        status: JobStatus | None = None,
        agent: str | None = None,
        limit: int = 50,
        before: str | None = None,
        owner: str | None = None,
    ) -> list[Job]:
        """The latest jobs, newest first.

        status, agent, owner: only those; limit: how many; before: the id that the page goes on
        after, whether its job is still there or not.
        """
        query = select(jobs).order_by(jobs.c.id.desc()).limit(limit)  # an id begins with the time
        if status is not None:
            query = query.where(jobs.c.status == status.value)
        if agent is not None:
            query = query.where(jobs.c.agent == agent)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        if before is not None:
            query = query.where(jobs.c.id < before)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
            return list(self._jobs_of(connection, rows))

    def cancel(self, job_id: str) -> Job:
        """Stop a job: one that waits at once, one that runs as soon as its worker sees it.

        Raises UnknownJob, and WrongJobState when it is finished.
        """
        with self._database.writing() as connection:
            parent = parts.lock_parent(connection, job_id)
            status = locked(connection, job_id)
            if status.finished:
                raise WrongJobState(job_id, status, "be cancelled")
            below = parts.unfinished(connection, job_id)
            if status is JobStatus.RUNNING and not below:
                told = update(jobs).where(jobs.c.id == job_id).values(cancel_requested=True)
                connection.execute(told)
                return self._found(connection, job_id)
            if status is JobStatus.AWAITING_APPROVAL:
                approvals.close(connection, job_id, ApprovalState.WITHDRAWN)
            stop(self._database, connection, job_id, JobCancelled(job_id).message())
            job = self._found(connection, job_id)
            following = next_unsettled(connection, job.request.conversation)
            if parent is not None and parts.resume(self._database, connection, parent):
                following = Due(parent, job.request.queue)
        due = following or Due(job_id, job.request.queue)  # or what is left to do for itself
        self._wake(due.job_id, due.queue)
        for each in below:
            with suppress(WrongJobState):  # it was finished at this moment
                self.cancel(each)
        return job

    def decide(self, job_id: str, granted: bool, by: Principal) -> Job:
        """Decide on what a job waits for: it goes on then. A declined answer is never sent.

        Raises UnknownJob, WrongJobState when it waits for nobody, AlreadyDecided, and NotAllowed
        when it is not theirs to decide.
        """
        with self._database.writing() as connection:
            parent = parts.lock_parent(connection, job_id)
            status = locked(connection, job_id)
            job = self._found(connection, job_id)
            if job.waiting is None:
                earlier = approvals.latest_state(connection, job_id)
                if earlier is None:
                    raise WrongJobState(job_id, status, "be approved or declined")
                raise AlreadyDecided(job_id, earlier)
            approval = job.waiting.approval
            if not approvals.may_decide(approval, job.request.principal, by):
                allowed = ", ".join(approval.to)
                remedy = f"These may: {allowed}."
                raise NotAllowed(by.name or by.id, f"decide on job {job_id}", remedy)
            state = ApprovalState.GRANTED if granted else ApprovalState.DECLINED
            approvals.close(connection, job_id, state, by)
            if approval.about == "reply" and not granted:
                words = NotApproved("The answer", "it was declined").message()
                stop(self._database, connection, job_id, words)
                if parent is not None:  # the sweeper wakes it
                    parts.resume(self._database, connection, parent)
            else:
                queue_again(self._database, connection, job_id)
            job = self._found(connection, job_id)
        self._wake(job_id, job.request.queue)
        return job

    def retry(self, job_id: str) -> Job:
        """Run a failed or cancelled job again, its failures forgotten.

        A tool call whose outcome is unknown is made again: who retries has looked.
        Raises UnknownJob, and WrongJobState when it did not fail.
        """
        with self._database.writing() as connection:
            status = locked(connection, job_id)
            if status not in (JobStatus.FAILED, JobStatus.CANCELLED):
                raise WrongJobState(job_id, status, "be run again")
            forget_outcome(connection, job_id)
            queue_again(self._database, connection, job_id)
            job = self._found(connection, job_id)
        self._wake(job_id, job.request.queue)
        return job

    def counts(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        query = select(jobs.c.status, func.count().label("number")).group_by(jobs.c.status)
        with self._database.reading() as connection:
            found = {row.status: row.number for row in connection.execute(query)}
        return {status.value: found.get(status.value, 0) for status in JobStatus}

    def live_workers(self) -> int:
        """How many workers have shown signs of life in the last seconds."""
        with self._database.reading() as connection:
            alive = select(func.count()).where(
                leases.c.name.startswith("worker:"), leases.c.until > self._database.now()
            )
            return int(connection.execute(alive).scalar_one())

    def _found(self, connection: Connection, job_id: str) -> Job:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().first()
        if row is None:
            raise UnknownJob(job_id)
        return self._jobs_of(connection, [row])[0]

    def _jobs_of(self, connection: Connection, rows: Sequence[RowMapping]) -> Sequence[Job]:
        """The jobs that these rows hold, and what other tables say of them."""
        brought = _deliveries(connection, [row["id"] for row in rows])
        awaiting = [row["id"] for row in rows if row["status"] == JobStatus.AWAITING_APPROVAL]
        waiting = approvals.waiting(connection, awaiting) if awaiting else {}
        still = [row for row in rows if row["status"] in OPEN or row["due_at"] is not None]
        why = causes(self._database, connection, still, self._shares) if still else {}
        return [
            Job.of_row(row, brought.get(row["id"], ()), waiting.get(row["id"]), why.get(row["id"]))
            for row in rows
        ]

    def _wake(self, job_id: str, queue: Queue) -> None:
        _wait_until(self._dispatcher.wake(job_id, queue), job_id)


def _wait_until(said: Callable[[], None], job_id: str) -> None:
    """Wait until workers were told of a job; if they were not, the sweeper finds it."""
    try:
        said()
    except BrokerUnavailable as error:
        log.warning("job.wake_failed", job=job_id, error=str(error))


def _new_job(row: Mapping[str, Any], request: Request) -> Job:
    return Job(
        id=row["id"],
        agent=request.agent,
        status=JobStatus.QUEUED,
        attempts=0,
        created_at=row["created_at"],
        started_at=None,
        finished_at=None,
        request=request,
        reply=None,
        error=None,
        usage=Usage(),
        deliveries=tuple(Delivery(each, "pending") for each in dict.fromkeys(request.reply_to)),
    )


def _repeated(connection: Connection, request: Request, content: str) -> str:
    """The id of the job that an earlier request with the same key and the same content made."""
    same_key = select(jobs.c.id, jobs.c.fingerprint).where(
        jobs.c.idempotency_key == request.idempotency_key
    )
    row = connection.execute(same_key).one()
    if row.fingerprint != content:
        raise IdempotencyConflict(str(request.idempotency_key))
    return str(row.id)


def _deliveries(connection: Connection, job_ids: Sequence[str]) -> dict[str, list[Delivery]]:
    query = (
        select(deliveries).where(deliveries.c.job_id.in_(job_ids)).order_by(deliveries.c.address)
    )
    found: dict[str, list[Delivery]] = {}
    for row in connection.execute(query):
        found.setdefault(row.job_id, []).append(Delivery(row.address, row.state, row.error))
    return found
