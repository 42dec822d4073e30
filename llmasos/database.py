"""The database: short transactions on SQLite or PostgreSQL, and errors in our own words.

SQLite serves one machine (WAL, one writer at a time, so that two claims never race); PostgreSQL
serves many. `tables.py` has the tables, `migrations/` makes them. Start reading at `Database`.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import (
    Connection,
    Double,
    Engine,
    Table,
    bindparam,
    cast,
    create_engine,
    event,
    extract,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import Function

from llmasos.errors import DatabaseUnavailable, HomeNotWritable, SchemaMismatch, SettingsError

SCHEMA = "0001"
"""The schema that this version works with: the newest file in `migrations/versions`."""
BUSY_SECONDS = 15.0
"""How long a SQLite transaction waits for another process's to end."""
BUSY_STEP = 0.0002
"""Seconds before the second try to begin one: about as long as one takes."""
POOL_SIZE = 20
SYNC = getattr(os, "fdatasync", os.fsync)
"""Not every system has the faster of the two."""
Durable = Literal["now", "on_flush", "later"]
UNWRITABLE = ("readonly", "disk is full", "unable to open database file", "disk I/O error")
"""What SQLite says when the folder, not the data, is the trouble."""


class Database:
    """Where the durable state is kept.

    url: a SQLAlchemy URL; `sqlite:///PATH` or `postgresql://…`.
    Raises SettingsError for a URL of another kind, HomeNotWritable when SQLite's folder cannot be
    made. It connects when it is first used.
    """

    def __init__(self, url: str) -> None:
        self._url = _parsed(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            _make_file(Path(str(self._url.database)))
            self._engine = _sqlite_engine(self._url, "BEGIN", POOL_SIZE, BUSY_SECONDS)
            self._writer = _sqlite_engine(self._url, "BEGIN IMMEDIATE", 1, 0)
        else:
            self._engine = self._writer = _postgresql_engine(self._url)
        self._connection: Connection | None = None
        self._one_writer = threading.Lock()
        self._one_flush = threading.Lock()
        self._commits = self._flushed = 0

    @property
    def name(self) -> str:
        """Its URL for people, without the password."""
        return self._url.render_as_string(hide_password=True)

    def now(self) -> ColumnElement[float]:
        """The time by the database's clock, so that machines with other clocks agree on leases.

        It is read whenever a statement runs, so that statements may be made once and kept.
        """
        if self.is_sqlite:  # one machine, one clock
            return bindparam(None, callable_=time.time, type_=Double, unique=True)
        return cast(extract("epoch", func.clock_timestamp()), Double)

    def greatest(self, one: ColumnElement[float], other: ColumnElement[float]) -> "Function[float]":
        """The larger of two numbers."""
        return func.max(one, other) if self.is_sqlite else func.greatest(one, other)

    def insert(self, table: Table) -> "sqlite.Insert | postgresql.Insert":
        """An insert that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for reads that belong together; keep it short."""
        with self._errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self, durable: Durable = "now") -> Iterator[Connection]:
        """A transaction that writes; keep it short. It is committed unless it raises.

        durable: when the disk has it, so that a power cut cannot undo it. `now`: once this returns.
        `on_flush`: once `flush` has returned, which the caller calls before it promises anything.
        `later`: in a moment; right for what others find out again (a lease, a wake-up). A killed
        process undoes nothing in any case.
        Raises DatabaseUnavailable or HomeNotWritable; IntegrityError passes.
        """
        if not self.is_sqlite:
            with self._errors(), self._engine.begin() as connection:
                if durable == "later":
                    connection.execute(text("SET LOCAL synchronous_commit = off"))
                yield connection
            return
        # Threads of one process queue up here, which costs less than asking SQLite again and again.
        with self._errors(), self._one_writer:
            connection = self._writing_connection()
            with connection.begin():
                yield connection
            self._commits += 1
        if durable == "now":
            self.flush()

    def _writing_connection(self) -> Connection:
        """The connection that all of this process's transactions are on: opening one costs more
        than most of them.
        """
        if self._connection is None or self._connection.invalidated:
            self._connection = self._writer.connect()
        return self._connection

    def flush(self) -> None:
        """Wait until the disk has everything that was committed `on_flush`.

        Raises HomeNotWritable.
        """
        if not self.is_sqlite:
            return  # it has been waited for
        wanted = self._commits
        with self._one_flush:
            if self._flushed < wanted:  # else the one before, which began later, did it for us too
                before = self._commits
                self._sync_log()
                self._flushed = before

    def _sync_log(self) -> None:
        # SQLite's log is all that a commit writes. (Never open the database's own file beside
        # SQLite: closing it would drop SQLite's locks.)
        path = Path(f"{self._url.database}-wal")
        try:
            descriptor = os.open(path, os.O_RDWR)
            try:
                SYNC(descriptor)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return  # it was folded into the database, which waits for the disk
        except OSError as error:
            raise HomeNotWritable(str(path), error.strerror or str(error)) from error

    def close(self) -> None:
        """Close all connections."""
        with self._one_writer:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
        self._engine.dispose()
        self._writer.dispose()

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except PoolTimeout as error:
            raise DatabaseUnavailable(self.name, "all connections are in use") from error
        except DBAPIError as error:
            raise self._ours(str(error.orig)) from error
        except sqlite3.Error as error:  # raised while connecting, before SQLAlchemy wraps it
            raise self._ours(str(error)) from error

    def _ours(self, reason: str) -> DatabaseUnavailable | HomeNotWritable:
        reason = (reason.splitlines() or ["no reason given"])[0]  # what follows may quote a row
        if self.is_sqlite and any(word in reason for word in UNWRITABLE):
            return HomeNotWritable(str(self._url.database), reason)
        return DatabaseUnavailable(self.name, reason)


def found_schema(connection: Connection) -> str:
    """The schema that a database has; empty when it has none."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return ""
    found = connection.execute(
        select(literal_column("version_num")).select_from(text("alembic_version"))
    ).scalar()
    return str(found or "")


def require_schema(database: Database) -> None:
    """Refuse to work with another schema than ours, older or newer.

    Raises SchemaMismatch.
    """
    with database.reading() as connection:
        found = found_schema(connection)
    if found != SCHEMA:
        raise SchemaMismatch(found, SCHEMA)


def migrate(database: Database) -> tuple[str, str]:
    """Bring the schema up to date, one process at a time; gives the schema before and after.

    Raises SchemaMismatch when the database has a newer schema than this version knows.
    """
    from llmasos.migrations import upgrade  # late: only `up` and `migrate` need Alembic

    with database.writing() as connection:
        if not database.is_sqlite:  # SQLite's writers wait for one another anyway
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('llmasos.migrate'))"))
        before = found_schema(connection)
        if before != SCHEMA:
            upgrade(connection, before)
        return before, SCHEMA


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise SettingsError("database_url", "", "is not a database URL") from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed
    raise SettingsError(
        "database_url", parsed.drivername, "must be `sqlite:///PATH` or `postgresql://…`"
    )


def _postgresql_engine(url: URL) -> Engine:
    return create_engine(
        url,
        pool_size=POOL_SIZE,
        pool_pre_ping=True,
        hide_parameters=True,  # they hold people's messages
        connect_args={"connect_timeout": 5, "application_name": "llmasos"},
    )


def _make_file(path: Path) -> None:
    """Make SQLite's file. People's messages are in it: nobody else may read it, nor what SQLite
    puts beside it.

    A file that is there is not opened: closing it again would drop the locks by which other
    connections of this process say that they use it, and whoever closes next would take their log
    away (sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise HomeNotWritable(str(path), error.strerror or str(error)) from error


def _sqlite_engine(url: URL, begin: str, connections: int, timeout: float) -> Engine:
    """SQLite with transactions that start with `begin`, said by us and not by the driver.

    timeout: seconds that SQLite itself waits for others.
    """
    engine = create_engine(
        url,
        pool_size=connections,
        hide_parameters=True,  # they hold people's messages
        connect_args={"timeout": timeout},
    )
    event.listen(engine, "connect", _prepare)

    def say(connection: Connection) -> None:
        # Past SQLAlchemy, whose own way costs more than the statement.
        driver: Any = connection.connection.driver_connection
        _once_unlocked(lambda: driver.execute(begin), BUSY_STEP)

    event.listen(engine, "begin", say)
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    """Set a new SQLite connection up."""
    connection.isolation_level = None

    def set_up() -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")  # `Database.flush` does what is more
        connection.execute("PRAGMA journal_mode = WAL")

    _once_unlocked(set_up, 0.02)  # a new file: another process may do so at the same moment


def _once_unlocked(act: Callable[[], object], step: float) -> None:
    """Do what another process may hold up. step: seconds before the second try, more later.

    SQLite's own waiting soon sleeps far longer than our transactions take.
    """
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            act()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(step)
            step = min(1.2 * step, 0.02)
