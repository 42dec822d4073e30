"""The sweeper: finds the jobs that no wake-up reached.

A thread in every worker. One of them at a time leads, by a lease in the database: it wakes jobs
that are due again at growing distances, removes old ones, and names queues that nobody serves.
While the broker is away, each worker takes jobs from the table itself. Start reading at
`Sweeper.tick`.
"""

import threading
import time
from typing import Any

import structlog
from sqlalchemy import bindparam, or_, select, update

from llmasos.database import Database
from llmasos.errors import BrokerUnavailable, StateError
from llmasos.jobs import Dispatcher
from llmasos.queues import serves, told, unserved
from llmasos.request import Queue
from llmasos.settings import WorkerSettings
from llmasos.tables import jobs, leases
from workers.pruning import Pruner
from workers.retries import wait_before_wake
from workers.runner import Runner

log = structlog.get_logger()

TICK = 1.0
"""Seconds between two looks."""
LEADS = 4.0
"""Seconds for which a leader leads without another sign; then another takes its place."""
SILENCE = 30.0
"""Seconds between two lines of the log on a database that does not answer."""
LIVES = 15.0
"""Seconds for which a worker counts as alive without another sign."""
MOST_WAKES = 500
"""Jobs that are woken in one tick."""


class Sweeper:
    """Looks after due jobs for one worker.

    settings: of the worker: its threads and its queues; keep_days: see `Pruner`.
    """

    def __init__(
        self,
        database: Database,
        runner: Runner,
        dispatcher: Dispatcher,
        settings: WorkerSettings,
        keep_days: float = 0.0,
    ) -> None:
        self._database, self._runner, self._dispatcher = database, runner, dispatcher
        self._threads, self._queues = settings.threads, settings.queues
        self._pruner = Pruner(database, keep_days)
        self._me = runner.claims.worker
        self._connected = False  # to the broker, as the consumer sees it
        self._woke = True  # whether the last wake-up went out
        self._next_sign = 0.0
        self._next_word = time.monotonic() + LIVES  # until then others may still be starting
        self._helpers: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking, and say that this worker is gone."""
        self._stopping.set()
        self._thread.join()
        try:
            with self._database.writing(durable="later") as connection:
                connection.execute(leases.delete().where(leases.c.holder == self._me))
        except StateError as error:  # its leases end by themselves
            log.debug("sweeper.not_signed_off", error=str(error))

    def broker_connected(self) -> None:
        """The consumer reached the broker: what it lost meanwhile is woken at once."""
        self._connected = self._woke = True
        try:
            with self._database.writing(durable="later") as connection:
                connection.execute(
                    update(jobs).where(jobs.c.due_at <= self._database.now()).values(wake_at=0.0)
                )
        except StateError as error:  # the growing distances will do
            log.warning("sweeper.not_reset", error=str(error))

    def broker_lost(self) -> None:
        """The consumer lost the broker."""
        self._connected = False

    def tick(self) -> None:
        """One look. Raises StateError when the database does not answer."""
        if time.monotonic() >= self._next_sign:
            self._give_sign()
        if self._leads():
            self._wake_due()
            self._pruner.prune()
            if time.monotonic() >= self._next_word:
                self._name_unserved()
        if not (self._connected and self._woke) or self._runner.missed_wake:
            self._work_here()

    def _work(self) -> None:
        silent_until = 0.0
        while not self._stopping.wait(TICK):
            try:
                self.tick()
            except StateError as error:  # each tick, perhaps for hours: the disk may be full
                if time.monotonic() >= silent_until:
                    silent_until = time.monotonic() + SILENCE
                    log.warning("sweeper.waits", error=str(error))
            except Exception as error:
                log.error("sweeper.broke", kind=type(error).__name__)
                log.debug("sweeper.broke", exc_info=error)

    def _give_sign(self) -> None:
        """Say that this worker lives and what it serves, and forget those that are long gone."""
        with self._database.writing(durable="later") as connection:
            connection.execute(self._lease(f"worker:{self._me}", LIVES))
            for queue in self._queues:
                connection.execute(self._lease(f"{serves(queue)}{self._me}", LIVES))
            long_ago = self._database.now() - 20 * LIVES
            signs = or_(leases.c.name.startswith("worker:"), leases.c.name.startswith("serves:"))
            connection.execute(leases.delete().where(signs, leases.c.until < long_ago))
        self._next_sign = time.monotonic() + LIVES / 3

    def _name_unserved(self) -> None:
        """Say which queues no worker serves, now and then."""
        self._next_word = time.monotonic() + 10 * SILENCE
        for queue in unserved(self._database, ()):
            log.warning("queue.unserved", queue=queue.value, reason=told(queue))

    def _leads(self) -> bool:
        """Whether this worker leads now; it does if nobody else does."""
        others = select(leases.c.holder).where(
            leases.c.name == "sweeper",
            leases.c.holder != self._me,
            leases.c.until > self._database.now(),
        )
        with self._database.reading() as connection:
            if connection.execute(others).first() is not None:
                return False
        with self._database.writing(durable="later") as connection:
            return connection.execute(self._lease("sweeper", LEADS)).first() is not None

    def _lease(self, name: str, seconds: float) -> Any:
        """A statement that takes or renews a lease; it gives a row if that worked."""
        now = self._database.now()
        row = {"holder": self._me, "until": now + seconds}
        return (
            self._database.insert(leases)
            .values(name=name, **row)
            .on_conflict_do_update(
                index_elements=["name"],
                set_=row,
                where=or_(leases.c.holder == self._me, leases.c.until < now),
            )
            .returning(leases.c.name)
        )

    def _wake_due(self) -> None:
        """Wake the jobs that are due and whose time for another wake-up has come."""
        now = self._database.now()
        overdue = (
            select(jobs.c.id, jobs.c.queue, jobs.c.wakes)
            .where(jobs.c.due_at <= now, jobs.c.wake_at <= now)
            .order_by(jobs.c.due_at)
            .limit(MOST_WAKES)
        )
        with self._database.reading() as connection:
            rows = connection.execute(overdue).all()
        woken = []
        for row in rows:
            try:
                self._dispatcher.wake(row.id, Queue(row.queue))()
            except BrokerUnavailable as error:
                self._woke = False
                log.warning("sweeper.broker_away", due=len(rows), error=str(error))
                break
            self._woke = True
            woken.append({"job_id": row.id, "wait": wait_before_wake(row.wakes + 1)})
        if woken:
            log.info("sweeper.woke", jobs=len(woken))
            with self._database.writing(durable="later") as connection:
                connection.execute(
                    update(jobs)
                    .where(jobs.c.id == bindparam("job_id"), jobs.c.due_at <= now)
                    .values(wakes=jobs.c.wakes + 1, wake_at=now + bindparam("wait")),
                    woken,
                )

    def _work_here(self) -> None:
        """Take due jobs without a wake-up, on threads of our own, as far as there is room."""
        self._helpers = [thread for thread in self._helpers if thread.is_alive()]
        room = self._threads - max(self._runner.running, len(self._helpers))
        due = select(jobs.c.queue).where(jobs.c.due_at <= self._database.now()).limit(max(room, 0))
        if room <= 0:
            return
        with self._database.reading() as connection:
            waiting = connection.scalars(due.order_by(jobs.c.turn)).all()
        for queue in waiting:
            helper = threading.Thread(
                target=self._runner.work, args=(Queue(queue),), name="helper", daemon=True
            )
            self._helpers.append(helper)
            helper.start()
