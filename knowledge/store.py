"""A collection's database: documents, chunks and vectors in SQLite. It is the truth.

Everything else about a collection is derived from it. Readers see one snapshot a search; a
writer's transaction is whole or nothing. Knows nothing of FAISS. Start reading at `Store`.
"""

import json
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from knowledge.chunking import RECIPE, Chunk
from knowledge.embedding import Vectors
from knowledge.readers import EVERYONE
from knowledge.report import DocumentInfo
from llmasos.errors import HomeNotWritable, KnowledgeError, StoreDamaged, UnknownCollection

FORMAT = 1
"""The layout below; a collection of a newer one is refused."""
BUSY_SECONDS = 30.0
VECTOR_ROWS = 4096
SCHEMA = """
CREATE TABLE facts (
    format INTEGER NOT NULL, model TEXT NOT NULL, dimension INTEGER NOT NULL,
    version TEXT NOT NULL, readers TEXT NOT NULL
) STRICT;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL UNIQUE, origin TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL, sha256 TEXT NOT NULL, recipe INTEGER NOT NULL, bytes INTEGER NOT NULL,
    added_at TEXT NOT NULL, metadata TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    title TEXT NOT NULL, anchor TEXT NOT NULL, text TEXT NOT NULL,
    start INTEGER NOT NULL, end INTEGER NOT NULL, vector BLOB NOT NULL,
    metadata TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX chunks_document ON chunks(document);
"""
UNWRITABLE = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
)


@dataclass(frozen=True)
class Facts:
    """What holds for a whole collection."""

    model: str
    dimension: int
    version: str
    """`GENERATION-TOKEN`: another with every write."""
    readers: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """A document that the store has."""

    source: str
    origin: str
    """The absolute path that it was read from."""
    sha256: str
    recipe: int


@dataclass(frozen=True)
class Entry:
    """A document to be stored."""

    source: str
    origin: str
    title: str
    sha256: str
    bytes: int
    chunks: Sequence[Chunk]


@dataclass(frozen=True)
class StoredChunk:
    """A chunk and the document that it is of."""

    id: int
    source: str
    chunk: Chunk


class Store:
    """Opens snapshots for readers and drafts for the one writer; safe in threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[sqlite3.Connection] = []

    @classmethod
    def create(cls, path: Path, facts: Facts) -> None:
        """Make an empty store. Raises HomeNotWritable."""
        with _mapped(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
            connection.execute(
                "INSERT INTO facts VALUES (?, ?, ?, ?, ?)",
                (FORMAT, facts.model, facts.dimension, facts.version, json.dumps(facts.readers)),
            )

    @contextmanager
    def read(self) -> Iterator["Snapshot"]:
        """One consistent view. Raises StoreDamaged."""
        with _mapped(self.path):
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._open()
            try:
                connection.execute("BEGIN")
                yield Snapshot(connection, self.path)
            except BaseException:
                connection.close()
                raise
            connection.execute("ROLLBACK")
            self._idle.append(connection)

    @contextmanager
    def write(self) -> Iterator["Draft"]:
        """A transaction: committed at the end, undone by any error.

        Raises StoreDamaged, or HomeNotWritable for a full disk or a read-only folder.
        """
        with _mapped(self.path), closing(self._open()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Draft(connection, self.path)
            except BaseException:
                if connection.in_transaction:  # SQLite itself rolls back when the disk is full
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

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
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")
        return connection


class Snapshot:
    """The collection as it was at one moment."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def facts(self) -> Facts:
        """What holds for the whole collection: the one cheap read of a search."""
        row = self._connection.execute(
            "SELECT format, model, dimension, version, readers FROM facts"
        ).fetchone()
        if row is None:
            raise StoreDamaged(str(self._path.parent), "it has no facts")
        if row[0] > FORMAT:
            raise KnowledgeError(
                f"The collection at {self._path.parent} was made by a newer LLMasOS; update this."
            )
        return Facts(row[1], row[2], row[3], tuple(json.loads(row[4])))

    def counts(self) -> tuple[int, int]:
        """How many documents and chunks there are."""
        documents = self._connection.execute("SELECT count(*) FROM documents").fetchone()[0]
        return documents, self._connection.execute("SELECT count(*) FROM chunks").fetchone()[0]

    def known(self) -> list[Known]:
        """Every document, as far as adding needs it."""
        rows = self._connection.execute("SELECT source, origin, sha256, recipe FROM documents")
        return [Known(*row) for row in rows]

    def documents(self) -> list[DocumentInfo]:
        """Every document, by source."""
        rows = self._connection.execute(
            "SELECT source, title, (SELECT count(*) FROM chunks WHERE document = documents.id), "
            "bytes, added_at FROM documents ORDER BY source"
        )
        fields = ("source", "title", "chunks", "bytes", "added_at")
        return [DocumentInfo(**dict(zip(fields, row, strict=True))) for row in rows]

    def chunks(self, ids: Sequence[int]) -> dict[int, StoredChunk]:
        """The chunks with these ids."""
        marks = ",".join("?" * len(ids))
        return {each.id: each for each in self._chunks(f"WHERE chunks.id IN ({marks})", ids)}

    def all_chunks(self) -> Iterator[StoredChunk]:
        """Every chunk, by id."""
        return self._chunks("ORDER BY chunks.id", ())

    def vectors(self, dimension: int) -> Iterator[tuple[npt.NDArray[np.int64], Vectors]]:
        """Every chunk's id and vector, by id, some thousands at a time."""
        cursor = self._connection.execute("SELECT id, vector FROM chunks ORDER BY id")
        while rows := cursor.fetchmany(VECTOR_ROWS):
            if any(len(vector) != 4 * dimension for _, vector in rows):
                raise StoreDamaged(str(self._path.parent), "a vector has a wrong length")
            flat = np.frombuffer(b"".join(vector for _, vector in rows), dtype="<f4")
            ids = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
            yield ids, flat.reshape(len(rows), dimension)

    def check(self) -> None:
        """Read the whole file. Raises StoreDamaged when a part of it is not sound."""
        verdict = self._connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise StoreDamaged(str(self._path.parent), verdict)

    def _chunks(self, clause: str, values: Sequence[int]) -> Iterator[StoredChunk]:
        rows = self._connection.execute(
            "SELECT chunks.id, source, chunks.title, anchor, text, start, end "
            f"FROM chunks JOIN documents ON documents.id = document {clause}",
            values,
        )
        return (StoredChunk(row[0], row[1], Chunk(*row[2:])) for row in rows)


class Draft(Snapshot):
    """A writer's view: what it changes is there for others once it is committed."""

    def put(self, entry: Entry, vectors: Vectors) -> None:
        """Store a document in the place of what was there under its source or origin.

        vectors: one row for each of its chunks.
        """
        self._connection.execute(
            "DELETE FROM documents WHERE source = ? OR origin = ?", (entry.source, entry.origin)
        )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        document = self._connection.execute(
            "INSERT INTO documents (source, origin, title, sha256, recipe, bytes, added_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (entry.source, entry.origin, entry.title, entry.sha256, RECIPE, entry.bytes, now),
        ).lastrowid
        self._connection.executemany(
            "INSERT INTO chunks (document, title, anchor, text, start, end, vector) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (document, each.title, each.anchor, each.text, each.start, each.end, _blob(vector))
                for each, vector in zip(entry.chunks, vectors, strict=True)
            ],
        )

    def remove(self, source: str) -> None:
        """Remove a document and its chunks."""
        self._connection.execute("DELETE FROM documents WHERE source = ?", (source,))

    def move(self, origins: Mapping[str, str]) -> None:
        """Note where documents are read from now. origins: source → absolute path."""
        for source in origins:  # first out of each other's way: an origin is unique
            self._connection.execute(
                "UPDATE documents SET origin = 'moving:' || id WHERE source = ?", (source,)
            )
        for source, origin in origins.items():
            self._connection.execute(
                "UPDATE documents SET origin = ? WHERE source = ?", (origin, source)
            )

    def revector(self, ids: Sequence[int], vectors: Vectors) -> None:
        """Give chunks other vectors."""
        self._connection.executemany(
            "UPDATE chunks SET vector = ? WHERE id = ?",
            [(_blob(vector), each) for each, vector in zip(ids, vectors, strict=True)],
        )

    def set_facts(self, facts: Facts) -> None:
        """Change what holds for the whole collection."""
        self._connection.execute(
            "UPDATE facts SET model = ?, dimension = ?, version = ?, readers = ?",
            (facts.model, facts.dimension, facts.version, json.dumps(facts.readers)),
        )


def new_facts(model: str, dimension: int) -> Facts:
    """Those of a collection that begins."""
    return Facts(model, dimension, next_version("0-"), (EVERYONE,))


def next_version(version: str) -> str:
    """The version after this one; its token tells it from one that a crash left behind."""
    generation = int(version.partition("-")[0])
    return f"{generation + 1}-{secrets.token_hex(4)}"


def _blob(vector: Vectors) -> bytes:
    return vector.astype("<f4").tobytes()


@contextmanager
def _mapped(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
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
