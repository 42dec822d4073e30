"""One collection on disk: its store, and the index that goes with the store's version.

The order of a write is what makes a crash harmless: rows are written in a transaction, the index
of the new version is put beside the old one, and only then the transaction commits. Whoever reads
the new version finds its index there; a crash before the commit leaves a file that no version
names. Start reading at `Collection.write`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock

import structlog

from knowledge.embedding import Vectors
from knowledge.folders import STORE, identity
from knowledge.index import (
    VectorIndex,
    build_index,
    discard_other_indexes,
    load_index,
    save_index,
)
from knowledge.store import Draft, Facts, Snapshot, Store, StoredChunk, next_version
from llmasos.errors import HomeNotWritable, KnowledgeError

log = structlog.get_logger()


class Collection:
    """Reads and writes one collection; safe in threads, and beside other processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.identity = identity(folder)
        self.store = Store(folder / STORE)
        self._index: VectorIndex | None = None
        self._loading = Lock()

    def nearest(
        self, snapshot: Snapshot, facts: Facts, vector: Vectors, k: int
    ) -> list[tuple[StoredChunk, float]]:
        """The k chunks nearest to a vector, best first, with their scores."""
        hits = self._index_of(snapshot, facts).search(vector, k)
        chunks = snapshot.chunks([each for each, _ in hits])
        return [(chunks[each], score) for each, score in hits]

    @contextmanager
    def write(self) -> Iterator[Draft]:
        """Change the collection, wholly or not at all. Hold `locked` around it."""
        saved: Path | None = None
        try:
            with self.store.write() as draft:
                yield draft
                before = draft.facts()
                facts = replace(before, version=next_version(before.version))
                draft.set_facts(facts)
                saved = save_index(self._built(draft, facts), self.folder)
        except BaseException:
            if saved:  # the commit failed: no version names it
                saved.unlink(missing_ok=True)
            raise
        discard_other_indexes(self.folder, facts.version)

    def close(self) -> None:
        """Let go of the store and the index."""
        self.store.close()
        self._index = None

    def _index_of(self, snapshot: Snapshot, facts: Facts) -> VectorIndex:
        """The index of the version that the snapshot shows."""
        current = self._index
        if current is not None and current.version == facts.version:
            return current
        with self._loading:
            if self._index is None or self._index.version != facts.version:
                self._index = self._load(snapshot, facts)
            return self._index

    def _load(self, snapshot: Snapshot, facts: Facts) -> VectorIndex:
        """Read the index, or make it again when it is missing, damaged or of another version."""
        _, chunks = snapshot.counts()
        found = load_index(self.folder, facts.version, facts.dimension, chunks)
        if found is not None:
            return found
        log.warning("knowledge.index_rebuilt", folder=str(self.folder), version=facts.version)
        built = self._built(snapshot, facts)
        try:
            save_index(built, self.folder)
        except HomeNotWritable as error:  # searching needs no file
            log.warning("knowledge.index_not_saved", folder=str(self.folder), reason=error.reason)
        return built

    def _built(self, snapshot: Snapshot, facts: Facts) -> VectorIndex:
        return build_index(snapshot.vectors(facts.dimension), facts.dimension, facts.version)


def check_dimension(built: int, given: int, name: str) -> None:
    """Refuse vectors of another length than the collection's."""
    if built != given:
        raise KnowledgeError(
            f"Collection '{name}' holds vectors of length {built}, the embedding server gives "
            f"{given}: it serves another model. Serve the old one, or embed again: "
            f"llmasos knowledge rebuild {name}"
        )
