"""The knowledge base: collections of documents that can be added to and searched.

What agents, the command line and the HTTP API use. It finds collections by name, holds readers'
rights, and leaves disk to `collection.py` and adding to `ingest.py`. Knows no agent.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Self

from knowledge.collection import Collection, check_dimension
from knowledge.embedding import Embedder, HttpEmbedder, Vectors
from knowledge.folders import collection_exists, delete_collection, identity, locked
from knowledge.ingest import Adding
from knowledge.loaders import loaders_by_suffix
from knowledge.readers import may_read
from knowledge.reembedding import rebuild
from knowledge.report import CollectionStats, DocumentInfo, Notify, Progress, Report
from knowledge.store import Facts, StoredChunk
from llmasos.errors import (
    EmbeddingModelChanged,
    InvalidRequest,
    StoreDamaged,
    UnknownCollection,
    nearest,
)
from llmasos.request import Principal
from llmasos.retrieval import Passage
from llmasos.settings import Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
MAX_K = 1_000
"""Most passages of one search."""
NAMED = 20
"""Most documents that an error lists."""


def _unheard(progress: Progress) -> None:
    """Nobody wants to know how far it is."""


class KnowledgeBase:
    """The collections in a folder; implements `llmasos.retrieval.Retriever`. Safe in threads."""

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        """folder: where the collections are, one folder each; embedder: who makes vectors."""
        self._folder = folder
        self._embedder = embedder
        self._opened: dict[str, Collection] = {}
        self._opening = Lock()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The installation's collections, embedded by the server that is in force for it."""
        return cls(settings.knowledge_dir, HttpEmbedder.from_settings(settings))

    def add(
        self,
        collection: str,
        paths: Sequence[Path | str],
        progress: Notify | None = None,
    ) -> Report:
        """Add files, and all readable files in folders; what has not changed is left alone.

        The collection is made when there is none. A document that cannot be read is named in the
        report with the reason, and what is there of it stays. Documents are committed in batches,
        each whole: after an error or a crash the same call goes on where it was broken off.
        Raises InvalidRequest, EmbeddingModelChanged, EngineError, StoreDamaged, HomeNotWritable.
        """
        if isinstance(paths, str):
            raise InvalidRequest("The paths must be a list of paths, not one text.")
        folder = self._place(collection)
        readable = loaders_by_suffix()
        with locked(folder):
            if collection_exists(folder):
                self._check_model(collection, self._facts(collection))
            adding = Adding(folder, self._embedder, progress or _unheard)
            try:
                return adding.run(paths, readable)
            finally:
                adding.close()

    def remove(self, collection: str, sources: Sequence[str] | None = None) -> Report:
        """Remove documents, or with sources=None the whole collection.

        sources: of documents, or of folders of them. Raises UnknownCollection, or InvalidRequest
        for a source that is not there; then nothing is removed.
        """
        self._open(collection)
        with locked(self._place(collection)):
            target = self._open(collection)
            if sources is None:
                return self._remove_all(collection, target)
            known = [each.source for each in self.documents(collection)]
            meant = {each for source in sources for each in _meant(source, known, collection)}
            with target.write() as draft:
                for source in sorted(meant):
                    draft.remove(source)
        return Report(collection=collection, removed=sorted(meant))

    def search(
        self, query: str, *, collections: Sequence[str], principal: Principal, k: int = 5
    ) -> list[Passage]:
        """The k passages nearest to the query that the principal may read, best first.

        Raises InvalidRequest for an empty query, UnknownCollection for a collection that does not
        exist or that the principal may not read, EmbeddingModelChanged, EngineError, StoreDamaged.
        """
        if not query.strip():
            raise InvalidRequest("The query is empty. Ask for something.")
        if not 1 <= k <= MAX_K:
            raise InvalidRequest(f"k is {k}. It must be between 1 and {MAX_K}.")
        if isinstance(collections, str):
            raise InvalidRequest("The collections must be a list of names, not one text.")
        names = list(dict.fromkeys(collections))
        for name in names:
            self._check_model(name, self._readable(name, principal))
        if not names:
            return []
        vector = self._embedder.embed([query])[0]
        found = [each for name in names for each in self._nearest(name, vector, k)]
        return sorted(found, key=lambda passage: -passage.score)[:k]

    def collections(self) -> list[str]:
        """The names of the collections."""
        if not self._folder.is_dir():
            return []
        return sorted(
            each.name
            for each in self._folder.iterdir()
            if NAME.fullmatch(each.name) and collection_exists(each)
        )

    def documents(self, collection: str) -> list[DocumentInfo]:
        """A collection's documents, by source."""
        with self._open(collection).store.read() as snapshot:
            return snapshot.documents()

    def stats(self, collection: str) -> CollectionStats:
        """What a collection holds."""
        target = self._open(collection)
        with target.store.read() as snapshot:
            facts, (documents, chunks) = snapshot.facts(), snapshot.counts()
        return CollectionStats(
            collection=collection,
            documents=documents,
            chunks=chunks,
            bytes=_disk_use(target.folder),
            model=facts.model,
            dimension=facts.dimension,
            version=facts.version,
            readers=facts.readers,
        )

    def set_readers(self, collection: str, readers: Sequence[str]) -> None:
        """Say who may read it: `everyone`, principals, `team:…`, `channel:…`, `group:…`."""
        self._open(collection)
        with locked(self._place(collection)), self._open(collection).write() as draft:
            draft.set_facts(replace(draft.facts(), readers=tuple(readers)))

    def rebuild(self, collection: str, progress: Notify | None = None) -> CollectionStats:
        """Check a collection's store, make its index again, and embed again if the model changed.

        The old vectors serve until the new ones are all there. Raises StoreDamaged, EngineError.
        """
        self._open(collection)
        with locked(self._place(collection)):
            rebuild(self._open(collection), self._embedder, progress or _unheard)
        return self.stats(collection)

    def close(self) -> None:
        """Let go of every collection. The embedder stays its owner's."""
        with self._opening:
            for each in self._opened.values():
                each.close()
            self._opened.clear()

    def _place(self, collection: str) -> Path:
        """Its folder. Raises InvalidRequest for a name that could lead elsewhere."""
        if not NAME.fullmatch(collection):
            raise InvalidRequest(
                f"'{collection}' cannot be a collection's name: 1 to 63 letters, digits, '-', '_' "
                "or '.', the first a letter or a digit."
            )
        return self._folder / collection

    def _open(self, collection: str) -> Collection:
        """The collection as it is on disk now. Raises UnknownCollection."""
        folder = self._folder / collection
        now = identity(folder) if NAME.fullmatch(collection) else None
        if now is None:
            raise UnknownCollection(collection, tuple(self.collections()))
        with self._opening:
            held = self._opened.get(collection)
            if held is None or held.identity != now:  # removed and made again since
                if held is not None:
                    held.store.close()
                held = self._opened[collection] = Collection(folder)
            return held

    def _facts(self, collection: str) -> Facts:
        with self._open(collection).store.read() as snapshot:
            return snapshot.facts()

    def _readable(self, collection: str, principal: Principal) -> Facts:
        """The facts of a collection that the principal may read; any other does not exist."""
        try:
            facts = self._facts(collection)
        except UnknownCollection as error:
            raise UnknownCollection(collection, self._known_to(principal)) from error
        if not may_read(facts.readers, principal):
            raise UnknownCollection(collection, self._known_to(principal))
        return facts

    def _known_to(self, principal: Principal) -> tuple[str, ...]:
        """The names of the collections that the principal may read."""
        known = []
        for name in self.collections():
            with suppress(StoreDamaged, UnknownCollection):
                if may_read(self._facts(name).readers, principal):
                    known.append(name)
        return tuple(known)

    def _check_model(self, collection: str, facts: Facts) -> None:
        if facts.model != self._embedder.model:
            raise EmbeddingModelChanged(collection, facts.model, self._embedder.model)

    def _nearest(self, collection: str, vector: Vectors, k: int) -> list[Passage]:
        """A collection's passages, from one snapshot of it."""
        target = self._open(collection)
        with target.store.read() as snapshot:
            facts = snapshot.facts()
            check_dimension(facts.dimension, len(vector), collection)
            found = target.nearest(snapshot, facts, vector, k)
        return [_passage(collection, stored, score) for stored, score in found]

    def _remove_all(self, collection: str, target: Collection) -> Report:
        removed = [each.source for each in self.documents(collection)]
        target.close()
        delete_collection(target.folder)
        return Report(collection=collection, removed=removed)


def _passage(collection: str, stored: StoredChunk, score: float) -> Passage:
    chunk = stored.chunk
    return Passage(
        collection=collection,
        source=f"{stored.source}#{chunk.anchor}" if chunk.anchor else stored.source,
        title=chunk.title,
        text=chunk.text,
        span=(chunk.start, chunk.end),
        score=max(-1.0, min(1.0, score)),
    )


def _disk_use(folder: Path) -> int:
    """Bytes of the files in a folder, of those that are still there."""
    total = 0
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _meant(source: str, known: list[str], collection: str) -> list[str]:
    """The documents that a source means: itself, those in that folder, or a passage's own."""
    if source in known:
        return [source]
    inside = [each for each in known if each.startswith(source.rstrip("/") + "/")]
    page = source.partition("#")[0]
    if not inside and page not in known:
        raise InvalidRequest(
            f"Collection '{collection}' has no document '{source}'."
            f"{nearest(source, tuple(known[:NAMED]))}"
        )
    return inside or [page]
