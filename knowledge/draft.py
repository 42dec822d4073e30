"""A writer's view of a store: what it changes is there for others once it is committed.

A document is never altered in place where an index may have it: another content or other readers
make a new row, and the old one is kept, not live, for as long as a version has it. So an index
needs to know only which of its rows are gone. Stands on `snapshot.py`; `store.py` commits.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from knowledge.embedding import Vectors
from knowledge.records import SHARED, Entry, Published
from knowledge.snapshot import Snapshot, packed


class Draft(Snapshot):
    """A snapshot that can be changed."""

    def put(self, entry: Entry, vectors: Vectors, readers: Sequence[str] | None = None) -> None:
        """Store a document in the place of what was there under its source or origin.

        vectors: one row for each of its chunks. readers: who of those that may read the collection
        may read it; None: as was said of its source before, else all.
        """
        if readers is not None:
            self._set_right(entry.source, readers)
        self._bury(
            # each by an index of its own: with OR every document would be looked at
            "SELECT id FROM documents WHERE live AND source = ? "
            "UNION SELECT id FROM documents WHERE live AND origin = ?",
            (entry.source, entry.origin),
        )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        document = self._connection.execute(
            "INSERT INTO documents (source, origin, title, sha256, recipe, bytes, added_at, "
            "metadata, class, live) VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
            "coalesce((SELECT class FROM rights WHERE source = ?), ?), 1)",
            (
                *(
                    entry.source,
                    entry.origin,
                    entry.title,
                    entry.sha256,
                    entry.recipe,
                    entry.bytes,
                    now,
                ),
                *(json.dumps(dict(entry.metadata)), entry.source, SHARED),
            ),
        ).lastrowid
        table = self.facts().vectors
        for each, vector in zip(entry.chunks, vectors, strict=True):
            chunk = self._connection.execute(
                "INSERT INTO chunks (document, title, anchor, text, start, end) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (document, each.title, each.anchor, each.text, each.start, each.end),
            ).lastrowid
            self._connection.execute(
                f"INSERT INTO vectors_{table} VALUES (?, ?)", (chunk, _blob(vector))
            )

    def remove(self, source: str) -> None:
        """Remove a document and its chunks."""
        self._bury("SELECT id FROM documents WHERE live AND source = ?", (source,))

    def move(self, moves: Mapping[str, tuple[str, str]]) -> None:
        """Give documents another source and origin. moves: source → (new source, new origin).

        Readers of a document's own stay its readers.
        """
        copies = []
        for source, (new, origin) in moves.items():
            document, own = self._connection.execute(
                "SELECT id, class FROM documents WHERE live AND source = ?", (source,)
            ).fetchone()
            if own != SHARED:
                self._connection.execute("INSERT OR REPLACE INTO rights VALUES (?, ?)", (new, own))
            copies.append(self._copy(document, new, origin))
            self._bury("SELECT ?", (document,))
        for each in copies:  # last, when they are out of each other's way
            self._connection.execute("UPDATE documents SET live = 1 WHERE id = ?", (each,))

    def remember(self, sources: Sequence[str]) -> None:
        """Note what the collection mirrors, in the place of what it did."""
        self._connection.execute("DELETE FROM sources")
        self._connection.executemany("INSERT INTO sources VALUES (?)", [(s,) for s in sources])

    def set_readers(self, readers: Sequence[str]) -> None:
        """Say who may read the collection."""
        self._connection.execute("UPDATE facts SET readers = ?", (json.dumps(tuple(readers)),))

    def set_calibration(self, calibration: str) -> None:
        """Keep the collection's own calibration, as JSON; '' for the default."""
        self._connection.execute("UPDATE facts SET calibration = ?", (calibration,))

    def set_document_readers(self, sources: Sequence[str], readers: Sequence[str] | None) -> None:
        """Say who may read some documents, of those that may read the collection; None: all."""
        for source in sources:
            if readers is None:
                self._connection.execute("DELETE FROM rights WHERE source = ?", (source,))
            else:
                self._set_right(source, readers)
        self._reclassify()

    def add_model(self, name: str, dimension: int) -> int:
        """Make a table for the vectors of a model; returns its number."""
        number = self._connection.execute(
            "INSERT INTO models (name, dimension) VALUES (?, ?)", (name, dimension)
        ).lastrowid
        self._connection.execute(
            f"CREATE TABLE vectors_{number} (chunk INTEGER PRIMARY KEY "
            "REFERENCES chunks(id) ON DELETE CASCADE, vector BLOB NOT NULL) STRICT"
        )
        return int(number or 0)

    def add_vectors(self, number: int, ids: Sequence[int], vectors: Vectors) -> None:
        """Store what another model made of chunks."""
        self._connection.executemany(
            f"INSERT INTO vectors_{number} VALUES (?, ?)",
            [(each, _blob(vector)) for each, vector in zip(ids, vectors, strict=True)],
        )

    def publish(self, version: Published) -> None:
        """Let every reader use this version from now on, and the model that it is of."""
        self._connection.execute(
            "INSERT OR IGNORE INTO versions VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(version.name, version.built_at, version.watermark, version.chunks),
                *(version.vectors, int(max(version.documents, default=0))),
                packed(version.documents),
            ),
        )
        self._connection.execute(
            "UPDATE facts SET version = ?, model = ?", (version.name, version.vectors)
        )

    def roll_back(self, version: Published) -> None:
        """Have just the documents that this version was made of, with the readers of today."""
        self._connection.execute("UPDATE documents SET live = 0 WHERE live")
        self._connection.executemany(
            "UPDATE documents SET live = 1 WHERE id = ?", ((int(i),) for i in version.documents)
        )
        self.publish(version)
        self._reclassify()
        self._discard_unused()

    def forget(self, names: Sequence[str]) -> None:
        """Keep these versions no longer, nor what only they had."""
        self._connection.executemany(
            "DELETE FROM versions WHERE name = ?", [(name,) for name in names]
        )
        self._discard_unused()

    def unpublish(self, vectors: int) -> None:
        """Have no version in force: what there is is searched in the store."""
        self._connection.execute("UPDATE facts SET version = '', model = ?", (vectors,))

    def count_revision(self) -> None:
        """Tell readers that something changed."""
        self._connection.execute("UPDATE facts SET revision = revision + 1")

    def count_revision_from(self, revision: int) -> None:
        """Have a revision that no reader of another store in this place has seen."""
        self._connection.execute("UPDATE facts SET revision = max(revision, ?)", (revision,))

    def _set_right(self, source: str, readers: Sequence[str]) -> None:
        said = json.dumps(sorted(set(readers)))
        self._connection.execute("INSERT OR IGNORE INTO classes (readers) VALUES (?)", (said,))
        self._connection.execute(
            "INSERT OR REPLACE INTO rights SELECT ?, id FROM classes WHERE readers = ?",
            (source, said),
        )

    def _bury(self, query: str, values: Sequence[object]) -> None:
        """Take documents out: for good, or for as long as versions have them."""
        gone = self._connection.execute(query, values).fetchall()
        newest = "(SELECT coalesce(max(last_document), 0) FROM versions)"
        self._connection.executemany(f"DELETE FROM documents WHERE id = ? AND id > {newest}", gone)
        self._connection.executemany("UPDATE documents SET live = 0 WHERE id = ?", gone)

    def _reclassify(self) -> None:
        """Put a new row in the place of each live document whose access class is another now."""
        changed = self._connection.execute(
            "SELECT documents.id, source, origin FROM documents LEFT JOIN rights USING (source) "
            "WHERE live AND documents.class != coalesce(rights.class, ?)",
            (SHARED,),
        ).fetchall()
        for document, source, origin in changed:
            again = self._copy(document, source, origin)
            self._bury("SELECT ?", (document,))
            self._connection.execute("UPDATE documents SET live = 1 WHERE id = ?", (again,))

    def _copy(self, document: int, source: str, origin: str) -> int:
        """A new row for a document, not live yet, with the class that its source has now."""
        copy = self._connection.execute(
            "INSERT INTO documents (source, origin, title, sha256, recipe, bytes, added_at, "
            "metadata, class, live) SELECT ?, ?, title, sha256, recipe, bytes, added_at, metadata, "
            "coalesce((SELECT class FROM rights WHERE source = ?), ?), 0 "
            "FROM documents WHERE id = ?",
            (source, origin, source, SHARED, document),
        ).lastrowid
        tables = [row[0] for row in self._connection.execute("SELECT id FROM models")]
        for (chunk,) in self._connection.execute(
            "SELECT id FROM chunks WHERE document = ? ORDER BY id", (document,)
        ).fetchall():
            self._copy_chunk(chunk, int(copy or 0), tables)
        return int(copy or 0)

    def _copy_chunk(self, chunk: int, document: int, tables: Sequence[int]) -> None:
        copy = self._connection.execute(
            "INSERT INTO chunks (document, title, anchor, text, start, end) "
            "SELECT ?, title, anchor, text, start, end FROM chunks WHERE id = ?",
            (document, chunk),
        ).lastrowid
        for table in tables:
            self._connection.execute(
                f"INSERT INTO vectors_{table} SELECT ?, vector FROM vectors_{table} "
                "WHERE chunk = ?",
                (copy, chunk),
            )

    def _discard_unused(self) -> None:
        """Remove documents that no kept version has, and vectors of models that none is of."""
        kept = {int(each) for version in self.versions() for each in version.documents}
        unused = [(int(each),) for each in self.dead() if int(each) not in kept]
        self._connection.executemany("DELETE FROM documents WHERE id = ?", unused)
        models = self._connection.execute(
            "SELECT id FROM models WHERE id NOT IN "
            "(SELECT model FROM facts UNION SELECT model FROM versions)"
        ).fetchall()
        for (number,) in models:
            self._connection.execute(f"DROP TABLE vectors_{number}")
            self._connection.execute("DELETE FROM models WHERE id = ?", (number,))


def _blob(vector: Vectors) -> bytes:
    return vector.astype("<f4").tobytes()
