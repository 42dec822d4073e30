"""A collection's database in SQLite: documents, chunks, vectors, readers. It is the truth.

Everything else about a collection is derived from it. Readers see one snapshot a search; a
writer's transaction is whole or nothing. What is asked and changed stands in `snapshot.py` and
`draft.py`. Start reading at `Store`.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from knowledge.draft import Draft
from knowledge.snapshot import FORMAT, Snapshot
from llmasos.errors import HomeNotWritable, KnowledgeError, StoreDamaged, UnknownCollection

BUSY_SECONDS = 30.0
CACHE_KB = 16_000
"""Pages of the file that a connection keeps at most: a search reads rows all over it."""
SCHEMA = """
CREATE TABLE models (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, dimension INTEGER NOT NULL
) STRICT;
CREATE TABLE facts (
    format INTEGER NOT NULL, model INTEGER NOT NULL REFERENCES models(id),
    revision INTEGER NOT NULL, version TEXT NOT NULL, readers TEXT NOT NULL,
    calibration TEXT NOT NULL
) STRICT;
CREATE TABLE classes (id INTEGER PRIMARY KEY, readers TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE rights (
    source TEXT PRIMARY KEY, class INTEGER NOT NULL REFERENCES classes(id)
) STRICT, WITHOUT ROWID;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, origin TEXT NOT NULL,
    title TEXT NOT NULL, sha256 TEXT NOT NULL, recipe INTEGER NOT NULL, bytes INTEGER NOT NULL,
    added_at TEXT NOT NULL, metadata TEXT NOT NULL, class INTEGER NOT NULL, live INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX documents_source ON documents(source) WHERE live;
CREATE UNIQUE INDEX documents_origin ON documents(origin) WHERE live;
CREATE INDEX documents_dead ON documents(id) WHERE NOT live;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    title TEXT NOT NULL, anchor TEXT NOT NULL, text TEXT NOT NULL,
    start INTEGER NOT NULL, end INTEGER NOT NULL
) STRICT;
CREATE INDEX chunks_document ON chunks(document);
CREATE TABLE versions (
    name TEXT PRIMARY KEY, built_at TEXT NOT NULL, watermark INTEGER NOT NULL,
    chunks INTEGER NOT NULL, model INTEGER NOT NULL REFERENCES models(id),
    last_document INTEGER NOT NULL, documents BLOB NOT NULL
) STRICT;
CREATE TABLE sources (given TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""
UNWRITABLE = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
)


class Store:
    """Opens snapshots for readers and drafts for the one writer; safe in threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[sqlite3.Connection] = []

    @classmethod
    def create(cls, path: Path, model: str, dimension: int, readers: tuple[str, ...]) -> None:
        """Make an empty store. Raises HomeNotWritable."""
        with mapped(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(f"BEGIN; {SCHEMA}")
            draft = Draft(connection, path)
            connection.execute(
                "INSERT INTO facts VALUES (?, ?, 0, '', ?, '')",
                (FORMAT, draft.add_model(model, dimension), json.dumps(readers)),
            )
            connection.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[Snapshot]:
        """One consistent view. Raises StoreDamaged."""
        with mapped(self.path):
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._open()
            try:
                connection.execute("BEGIN")
                yield Snapshot(connection, self.path)
                connection.execute("ROLLBACK")
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)

    @contextmanager
    def write(self) -> Iterator[Draft]:
        """A transaction: committed at the end, undone by any error.

        Raises StoreDamaged, or HomeNotWritable for a full disk or a read-only folder.
        """
        with mapped(self.path), closing(self._open()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                draft = Draft(connection, self.path)
                draft.facts()
                yield draft
                draft.count_revision()
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite itself rolls back when the disk is full
                    connection.execute("ROLLBACK")
                raise

    def copy(self, path: Path) -> None:
        """Write the whole store as it is now into one file: a new one, or another store.

        What was there is replaced at once when all is written, or not at all.
        Raises OSError, HomeNotWritable.
        """
        path.touch()
        with self.read() as snapshot, mapped(path), closing(sqlite3.connect(path)) as target:
            target.execute("PRAGMA synchronous=FULL")
            snapshot.copy(target)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _open(self) -> sqlite3.Connection:
        # On a read-only folder a WAL cannot be made; nobody can write there, so none is needed.
        mode = "mode=rw" if os.access(self.path.parent, os.W_OK) else "immutable=1"
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            check_same_thread=False,
            isolation_level=None,
        )
        try:
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA cache_size=-{CACHE_KB}")
            Snapshot(connection, self.path).check_format()
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about the store at this path into ours."""
    folder = str(path.parent)
    try:
        yield
    except sqlite3.Error as error:
        if not path.exists():
            raise UnknownCollection(path.parent.name) from error
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in UNWRITABLE:
            raise HomeNotWritable(folder, str(error)) from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise KnowledgeError(
                f"The collection at {folder} is being written by another process. Try again."
            ) from error
        raise StoreDamaged(folder, str(error)) from error
