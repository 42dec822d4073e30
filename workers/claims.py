"""Claims: how a worker takes a job, keeps it while it lives, and gives it back.

Taking is one statement, so that two workers never get one job. Each taking raises the job's
`attempt`, the fencing number that every later write must name. Start reading at `Claims.take`.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    String,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from llmasos import approvals
from llmasos.database import Database
from llmasos.errors import LeaseLost
from llmasos.jobs import FIRST_SWEEP, Job, JobStatus
from llmasos.queues import Limits
from llmasos.request import Queue
from llmasos.tables import deliveries, jobs


@dataclass(frozen=True)
class Claim:
    """A job that this worker holds."""

    job: Job
    attempt: int
    """The fencing number."""
    failures: int
    """How often it failed before."""
    waited: float
    """For how many seconds it has waited for a backend."""
    lost_leases: int
    """How often its worker vanished, the last time included."""
    addresses: tuple[str, ...]
    """Where its answer is still to be brought, now."""

    @property
    def only_delivery(self) -> bool:
        """Whether only bringing something is left: its stored outcome, or what it asks people."""
        return self.job.status is not JobStatus.RUNNING

    @property
    def expired(self) -> bool:
        """Whether it has waited for a person for as long as it may."""
        return self.job.waiting is not None and not self.addresses  # what else would it be due for


@dataclass(frozen=True)
class Renewal:
    """What a renewal of leases found."""

    kept: frozenset[tuple[str, int]]
    """(job, attempt) of those that are still ours."""
    cancelled: frozenset[str]
    """Jobs that someone wants stopped."""


class Claims:
    """The queue's side of the table of jobs, for one worker.

    worker: this worker's name, unique for all time; lease_seconds: how long a job is ours without
    a renewal; limits: how many jobs of whom run at a time, over all workers.
    """

    def __init__(
        self, database: Database, worker: str, lease_seconds: float, limits: Limits | None = None
    ) -> None:
        self._database = database
        self.limits = limits or Limits()
        self.worker = worker
        self.lease_seconds = lease_seconds
        # Making a statement costs ten times what running it does: make them once.
        self._take = _taking(database, self, of_one_turn=False)
        self._take_turn = _taking(database, self, of_one_turn=True)
        self._open_addresses = _open_addresses(database)

    def take(self, queue: Queue = Queue.INTERACTIVE, *, turn_of: str | None = None) -> Claim | None:
        """Take the best eligible job: due, held by no one, first of its turn, within limits.

        turn_of: only this job, one that its conversation has before it, or a part of it.
        None: there is none.
        """
        statement, names = (
            (self._take, {}) if turn_of is None else (self._take_turn, {"own": turn_of})
        )
        with self._database.writing(durable="later") as connection:
            self._one_at_a_time(connection)
            row = (
                connection.execute(statement, {"from_queue": queue.value, **names})
                .mappings()
                .first()
            )
            if row is None:
                return None
            waiting = None
            if row["status"] == JobStatus.AWAITING_APPROVAL:
                waiting = approvals.waiting(connection, [row["id"]])[row["id"]]
            job = Job.of_row(row, waiting=waiting)
            addresses: tuple[str, ...] = ()
            if job.request.reply_to or row["runs"] > 1 or job.status is not JobStatus.RUNNING:
                addresses = tuple(connection.scalars(self._open_addresses, {"job_id": job.id}))
        return Claim(
            job=job,
            attempt=row["attempt"],
            failures=row["failures"],
            waited=row["waited"],
            lost_leases=row["lost_leases"],
            addresses=addresses,
        )

    def knows(self, job_id: str) -> bool:
        """Whether there is such a job. Raises StateError."""
        with self._database.reading() as connection:
            return connection.scalar(select(exists().where(jobs.c.id == job_id))) is True

    def _one_at_a_time(self, connection: Connection) -> None:
        """Keep two claims from both counting up to a limit; SQLite's writers wait anyway."""
        if self.limits != Limits() and not self._database.is_sqlite:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('llmasos.claim'))")

    def renew(self, held: Collection[tuple[str, int]]) -> Renewal:
        """Keep jobs for another lease. held: (job, attempt) of each."""
        with self._database.writing(durable="later") as connection:
            rows = connection.execute(
                update(jobs)
                .where(jobs.c.id.in_([job for job, _ in held]), jobs.c.worker == self.worker)
                .values(due_at=self._database.now() + self.lease_seconds)
                .returning(jobs.c.id, jobs.c.attempt, jobs.c.cancel_requested, jobs.c.status)
            ).all()
        kept = frozenset((row.id, row.attempt) for row in rows) & frozenset(held)
        stop = (row.id for row in rows if row.cancel_requested and row.status == JobStatus.RUNNING)
        return Renewal(kept, frozenset(stop))

    def give_back(self, claim: Claim) -> None:
        """Let another worker have a job at once; this does not count as a lost lease.

        Whatever this worker still does for it is fenced off. Raises LeaseLost.
        """
        waits = case(
            (jobs.c.status == JobStatus.RUNNING, JobStatus.QUEUED.value), else_=jobs.c.status
        )
        with self._database.writing(durable="later") as connection:
            given = connection.execute(
                update(jobs)
                .where(jobs.c.id == claim.job.id, jobs.c.attempt == claim.attempt)
                .values(
                    status=waits,
                    attempt=jobs.c.attempt + 1,
                    due_at=self._database.now(),
                    wakes=1,
                    wake_at=self._database.now() + FIRST_SWEEP,
                    worker=None,
                )
            ).rowcount
        if not given:
            raise LeaseLost(claim.job.id, claim.attempt)


def fence(connection: Connection, job_id: str, attempt: int) -> str:
    """The job's status, its row held for this transaction.

    Raises LeaseLost when the attempt is no longer the current one.
    """
    query = select(jobs.c.status).where(jobs.c.id == job_id, jobs.c.attempt == attempt)
    status: str | None = connection.execute(query.with_for_update()).scalar()
    if status is None:
        raise LeaseLost(job_id, attempt)
    return status


def _unfinished(row: FromClause = jobs) -> ColumnElement[bool]:
    return or_(*(row.c.status == status.value for status in (JobStatus.QUEUED, JobStatus.RUNNING)))


def _taking(database: Database, claims: Claims, *, of_one_turn: bool) -> ReturningUpdate[Any]:
    """The statement that takes a job. of_one_turn: only the job `own` or one before it."""
    now = database.now()
    return (
        update(jobs)
        .where(jobs.c.id == _best(database, claims.limits, of_one_turn).scalar_subquery())
        .values(
            attempt=jobs.c.attempt + 1,
            due_at=now + claims.lease_seconds,
            wake_at=0.0,
            wakes=0,
            lost_leases=jobs.c.lost_leases + case((jobs.c.worker.is_not(None), 1), else_=0),
            worker=claims.worker,
            runs=jobs.c.runs + case((_unfinished(), 1), else_=0),
            status=case((_unfinished(), JobStatus.RUNNING.value), else_=jobs.c.status),
            started_at=case(
                (jobs.c.started_at.is_(None) & _unfinished(), now), else_=jobs.c.started_at
            ),
        )
        .returning(jobs)
    )


def _best(database: Database, limits: Limits, of_one_turn: bool) -> Select[str]:
    """The id of the job to take, locked on PostgreSQL against other claims."""
    candidate, earlier = jobs.alias("candidate"), jobs.alias("earlier")
    must_wait = exists().where(
        earlier.c.conversation == candidate.c.conversation,
        earlier.c.unsettled,
        tuple_(earlier.c.position, earlier.c.id) < tuple_(candidate.c.position, candidate.c.id),
    )
    query = select(candidate.c.id).where(
        candidate.c.due_at <= database.now(), ~must_wait, *_within(database, limits, candidate)
    )
    if not of_one_turn:
        query = query.where(candidate.c.queue == bindparam("from_queue", type_=String))
    if of_one_turn:
        own, itself = bindparam("own", type_=String), jobs.alias("itself")
        conversation = select(itself.c.conversation).where(itself.c.id == own).scalar_subquery()
        before = (candidate.c.conversation == conversation) & candidate.c.unsettled
        query = query.where(or_(candidate.c.id == own, before, candidate.c.id.in_(_below(own))))
    ordered = query.order_by(candidate.c.turn, candidate.c.id).limit(1)
    return ordered.with_for_update(skip_locked=True, of=candidate)


def _below(own: ColumnElement[str]) -> Select[str]:
    """The parts of a job, and the parts of these."""
    part = jobs.alias("part")
    found = select(jobs.c.id).where(jobs.c.parent == own).cte("below", recursive=True)
    found = found.union_all(select(part.c.id).join(found, part.c.parent == found.c.id))
    return select(found.c.id)


def _within(
    database: Database, limits: Limits, candidate: FromClause
) -> Iterator[ColumnElement[bool]]:
    """What keeps to the limits: its user and its agent have room. Bringing an answer needs none."""
    running = jobs.alias("running")
    held = (running.c.status == JobStatus.RUNNING.value) & (running.c.due_at > database.now())

    def room(column: str, most: ColumnElement[int] | int, *which: ColumnElement[bool]) -> Any:
        full = (
            select(running.c[column])
            .where(held, *which)
            .group_by(running.c[column])
            .having(func.count() >= most)
        )
        return or_(~_unfinished(candidate), candidate.c[column].not_in(full))

    if limits.per_user:
        yield room("principal", limits.per_user)
    if limits.per_agent:
        most = case(dict(limits.per_agent), value=running.c.agent)
        yield room("agent", most, running.c.agent.in_(list(limits.per_agent)))


def _open_addresses(database: Database) -> Select[str]:
    """Where the answer to `job_id` is still to be brought, now."""
    return (
        select(deliveries.c.address)
        .where(
            deliveries.c.job_id == bindparam("job_id"),
            deliveries.c.state == "pending",
            deliveries.c.run_after <= database.now(),
        )
        .order_by(deliveries.c.address)
    )
