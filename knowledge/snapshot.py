"""What can be asked of a store: a collection as it was at one moment.

Stands on one SQLite connection in a transaction that `store.py` opened. A document that was
replaced or removed is kept, not live, for as long as a version has it. Knows no index.
"""

import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from knowledge.chunking import Chunk
from knowledge.filters import Filter
from knowledge.records import Facts, Ids, Known, Piece, Published, StoredChunk
from knowledge.report import DocumentInfo
from llmasos.errors import KnowledgeError, StoreDamaged

FORMAT = 3
"""The layout in `store.py`; a collection of another one is refused."""
ROWS = 4096
"""Chunks that are read at a time."""
CHUNK = "chunks.id, source, chunks.title, anchor, text, start, end, origin"
LIVE = "FROM chunks JOIN documents ON documents.id = document AND live"


class Snapshot:
    """The collection as it was at one moment."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def facts(self) -> Facts:
        """What holds for the whole collection: the one cheap read of a search."""
        row = self._connection.execute(
            "SELECT name, dimension, model, revision, version, readers, calibration "
            "FROM facts JOIN models ON models.id = model"
        ).fetchone()
        if row is None:
            raise self._damaged("it has no facts")
        name, dimension, vectors, revision, version, readers, calibration = row
        said = tuple(json.loads(readers))
        return Facts(name, dimension, vectors, revision, version, said, calibration)

    def counts(self) -> tuple[int, int]:
        """How many documents and chunks there are."""
        documents = self._connection.execute("SELECT count(*) FROM documents WHERE live").fetchone()
        return documents[0], self._connection.execute(f"SELECT count(*) {LIVE}").fetchone()[0]

    def known(self) -> list[Known]:
        """Every document, as far as adding needs it."""
        rows = self._connection.execute(
            "SELECT source, origin, sha256, recipe, title FROM documents WHERE live"
        )
        return [Known(*row) for row in rows]

    def sources(self) -> list[str]:
        """What the collection mirrors: paths and addresses."""
        return [row[0] for row in self._connection.execute("SELECT given FROM sources")]

    def documents(self) -> list[DocumentInfo]:
        """Every document, by source."""
        rows = self._connection.execute(
            "SELECT source, title, (SELECT count(*) FROM chunks WHERE document = documents.id), "
            "bytes, added_at, readers FROM documents LEFT JOIN classes ON classes.id = class "
            "WHERE live ORDER BY source"
        )
        return [
            DocumentInfo(
                source=row[0],
                title=row[1],
                chunks=row[2],
                bytes=row[3],
                added_at=row[4],
                readers=None if row[5] is None else tuple(json.loads(row[5])),
            )
            for row in rows
        ]

    def chunks(self, ids: Sequence[int]) -> dict[int, StoredChunk]:
        """The chunks with these ids."""
        found: dict[int, StoredChunk] = {}
        for first in range(0, len(ids), ROWS):
            some = ids[first : first + ROWS]
            rows = self._connection.execute(
                f"SELECT {CHUNK} FROM chunks JOIN documents ON documents.id = document "
                f"WHERE chunks.id IN ({','.join('?' * len(some))})",
                some,
            )
            found.update((row[0], _stored(row)) for row in rows)
        return found

    def texts(self, after: int = 0) -> Iterator[StoredChunk]:
        """Every live chunk behind an id, by id."""
        rows = self._connection.execute(
            f"SELECT {CHUNK} {LIVE} WHERE chunks.id > ? ORDER BY chunks.id", (after,)
        )
        return (_stored(row) for row in rows)

    def pieces(self, facts: Facts, after: int = 0) -> Iterator[Piece]:
        """What an index needs of every live chunk behind an id, by id, some thousand at a time."""
        cursor = self._connection.execute(
            f"SELECT chunks.id, document, class, vector {LIVE} "
            f"LEFT JOIN vectors_{facts.vectors} ON chunk = chunks.id "
            "WHERE chunks.id > ? ORDER BY chunks.id",
            (after,),
        )
        while rows := cursor.fetchmany(ROWS):
            ids, documents, classes, vectors = zip(*rows, strict=True)
            if any(vector is None or len(vector) != 4 * facts.dimension for vector in vectors):
                raise self._damaged("a vector is missing or has a wrong length")
            yield Piece(
                np.array(ids, dtype=np.int64),
                np.array(documents, dtype=np.int64),
                np.array(classes, dtype=np.int32),
                np.frombuffer(b"".join(vectors), dtype="<f4").reshape(len(rows), facts.dimension),
            )

    def facts_with(self, vectors: int) -> Facts:
        """The facts as they will be when another model's vectors are in force."""
        name, dimension = self._connection.execute(
            "SELECT name, dimension FROM models WHERE id = ?", (vectors,)
        ).fetchone()
        return replace(self.facts(), model=name, dimension=dimension, vectors=vectors)

    def added_since(self, watermark: int) -> int:
        """How many live chunks have an id behind this one."""
        row = self._connection.execute(
            f"SELECT count(*) {LIVE} WHERE chunks.id > ?", (watermark,)
        ).fetchone()
        return int(row[0])

    def may_have_added(self, watermark: int, least: int) -> bool:
        """Whether there can be so many: told at once, without counting."""
        row = self._connection.execute(
            "SELECT seq - ? FROM sqlite_sequence WHERE name = 'chunks'", (watermark,)
        ).fetchone()
        return row is not None and row[0] > least

    def chunks_of(self, documents: Ids) -> int:
        """How many chunks these documents have."""
        return sum(
            int(
                self._connection.execute(
                    "SELECT count(*) FROM chunks WHERE document = ?", (int(each),)
                ).fetchone()[0]
            )
            for each in documents
        )

    def last_chunk(self) -> int:
        """The highest id that a live chunk has; 0 when there is none."""
        return int(
            self._connection.execute(f"SELECT coalesce(max(chunks.id), 0) {LIVE}").fetchone()[0]
        )

    def live(self, after: int = 0) -> Ids:
        """The documents that are there, behind an id."""
        return self._ids("SELECT id FROM documents WHERE live AND id > ? ORDER BY id", (after,))

    def dead(self) -> Ids:
        """The documents that are kept for versions only."""
        return self._ids("SELECT id FROM documents WHERE NOT live ORDER BY id")

    def meant(self, wanted: Filter) -> Ids:
        """The documents that a filter lets through."""
        clause, values = wanted.sql()
        return self._ids(f"SELECT id FROM documents WHERE live AND {clause} ORDER BY id", values)

    def classes(self) -> dict[int, tuple[str, ...]]:
        """The readers of each access class."""
        rows = self._connection.execute("SELECT id, readers FROM classes")
        return {row[0]: tuple(json.loads(row[1])) for row in rows}

    def versions(self) -> list[Published]:
        """The versions that are kept, the latest first."""
        rows = self._connection.execute(
            "SELECT name, built_at, watermark, chunks, model, documents FROM versions "
            "ORDER BY rowid DESC"
        )
        return [Published(row[0], row[1], row[2], row[3], row[4], unpacked(row[5])) for row in rows]

    def model(self, name: str, dimension: int) -> int | None:
        """The table of vectors that this model made; None when there is none."""
        row = self._connection.execute(
            "SELECT id FROM models WHERE (name, dimension) = (?, ?)", (name, dimension)
        ).fetchone()
        return int(row[0]) if row else None

    def without_vector(self, vectors: int, after: int, most: int) -> list[StoredChunk]:
        """The first live chunks behind an id that have no vector in this table."""
        rows = self._connection.execute(
            f"SELECT {CHUNK} {LIVE} WHERE chunks.id > ? AND NOT EXISTS "
            f"(SELECT 1 FROM vectors_{vectors} WHERE chunk = chunks.id) "
            "ORDER BY chunks.id LIMIT ?",
            (after, most),
        )
        return [_stored(row) for row in rows]

    def check(self) -> None:
        """Read the whole file. Raises StoreDamaged when a part of it is not sound."""
        verdict = self._connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise self._damaged(verdict)

    def copy(self, target: sqlite3.Connection) -> None:
        """Write all of it into another database, in one transaction."""
        self._connection.backup(target)

    def _ids(self, query: str, values: Sequence[object] = ()) -> Ids:
        rows = self._connection.execute(query, values)
        return np.fromiter((row[0] for row in rows), dtype=np.int64)

    def check_format(self) -> None:
        """Refuse a layout that is not ours. Raises KnowledgeError, StoreDamaged."""
        row = self._connection.execute("SELECT format FROM facts").fetchone()
        if row is None:
            raise self._damaged("it has no facts")
        if row[0] != FORMAT:
            remedy = (
                "update this one."
                if row[0] > FORMAT
                else "remove it and add the documents again: llmasos knowledge remove "
                f"{self._path.parent.name}"
            )
            made = "a newer" if row[0] > FORMAT else "an older"
            raise KnowledgeError(
                f"The collection at {self._path.parent} was made by {made} LLMasOS; {remedy}"
            )

    def _damaged(self, reason: str) -> StoreDamaged:
        return StoreDamaged(str(self._path.parent), reason)


def packed(ids: Ids) -> bytes:
    """Ascending ids in few bytes."""
    return zlib.compress(np.diff(ids, prepend=0).astype("<i8").tobytes())


def unpacked(data: bytes) -> Ids:
    """The ids that were packed."""
    return np.cumsum(np.frombuffer(zlib.decompress(data), dtype="<i8"), dtype=np.int64)


def _stored(row: Sequence[object]) -> StoredChunk:
    return StoredChunk(row[0], row[1], Chunk(*row[2:7]), row[7])  # type: ignore[arg-type]
