"""The knowledge base: collections of documents that can be added to and searched.

What agents, the command line and the HTTP API use. It finds collections by name, holds readers'
rights, and leaves disk to `collection.py` and adding to `ingest.py`. Knows no agent.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Self

from knowledge.backup import back_up, restore
from knowledge.calibration import Calibration
from knowledge.collection import Collection, check_dimension
from knowledge.collection_view import CollectionView
from knowledge.embedding import Embedder, HttpEmbedder, Vectors
from knowledge.filters import Filter, Wanted
from knowledge.folders import collection_exists, delete_collection, identity, locked
from knowledge.index import EXACT
from knowledge.ingest import Adding
from knowledge.mirroring import SyncOptions, mirror
from knowledge.names import upload_name
from knowledge.publishing import roll_back
from knowledge.readers import checked_readers, may_read
from knowledge.records import Facts
from knowledge.reembedding import rebuild
from knowledge.report import (
    CollectionStats,
    DocumentInfo,
    Notify,
    Progress,
    Report,
    VersionInfo,
)
from knowledge.retrieve import Tuning, retrieve
from llmasos.errors import (
    EmbeddingModelChanged,
    InvalidRequest,
    StoreDamaged,
    UnknownCollection,
    nearest,
)
from llmasos.request import Principal
from llmasos.retrieval import Passage
from llmasos.settings import KnowledgeSettings, Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
MAX_K = 1_000
"""Most passages of one search."""
EMBEDDING = 16
"""Queries that are embedded at a time, each beside its own search by keywords."""
NAMED = 20
"""Most documents that an error lists."""


def _unheard(progress: Progress) -> None:
    """Nobody wants to know how far it is."""


class KnowledgeBase:
    """The collections in a folder; implements `llmasos.retrieval.Retriever`. Safe in threads."""

    def __init__(
        self,
        folder: Path,
        embedder: Embedder,
        settings: KnowledgeSettings | None = None,
        tuning: Tuning | None = None,
    ) -> None:
        """folder: where the collections are, one folder each; embedder: who makes vectors.

        settings: how documents are read and cut; tuning: how passages are found and judged.
        """
        self._folder = folder
        self._embedder = embedder
        self._settings = settings or KnowledgeSettings()
        self._usual = tuning or Tuning()
        self._opened: dict[str, Collection] = {}
        self._opening = Lock()
        self._embedding = _threads()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The installation's collections, embedded by the server that is in force for it."""
        embedder = HttpEmbedder.from_settings(settings)
        return cls(settings.knowledge_dir, embedder, settings.knowledge, Tuning.of(settings))

    def add(
        self,
        collection: str,
        paths: Sequence[Path | str],
        progress: Notify | None = None,
    ) -> Report:
        """Add files, what can be read in folders, globs and zip archives, and web pages by address.

        What has not changed is left alone. The collection is made when there is none. A document
        that cannot be read is named in the report with the reason, and what is there of it stays.
        Documents are committed in batches, each whole: after an error or a crash the same call
        goes on where it was broken off.
        Raises InvalidRequest, EmbeddingModelChanged, EngineError, StoreDamaged, HomeNotWritable.
        """
        _check_list(paths)
        with self._adding(collection, progress) as adding:
            return adding.run(paths)

    def sync(
        self,
        collection: str,
        paths: Sequence[Path | str] = (),
        options: SyncOptions | None = None,
        progress: Notify | None = None,
    ) -> Report:
        """Mirror sources: add as `add` does, and remove the documents whose files are no more.

        paths: sources beside those that the collection mirrors already; it remembers them. A file
        that was moved keeps its vectors. What came from elsewhere is left alone.
        Raises what `add` raises.
        """
        _check_list(paths)
        with self._adding(collection, progress) as adding:
            return mirror(adding, paths, options or SyncOptions())

    def upload(self, collection: str, documents: Mapping[str, bytes]) -> Report:
        """Add documents that are no files here; one of the same name takes the place of the old.

        documents: content by name, a path whose ending says what kind it is.
        Raises what `add` raises.
        """
        named = {upload_name(name): data for name, data in documents.items()}
        with self._adding(collection, None) as adding:
            return adding.upload(named)

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
            target.publish_if_due()
        return Report(collection=collection, removed=sorted(meant))

    def search(
        self,
        query: str,
        *,
        collections: Sequence[str],
        principal: Principal,
        k: int = 5,
        filter: Wanted | None = None,
        explain: bool = False,
    ) -> list[Passage]:
        """The k best passages for the query that the principal may read, best first.

        filter: what the documents must have, for example `{"lang": "de", "path": "guide/*"}`.
        explain: say of each passage how it was found.
        Raises InvalidRequest for an empty query, UnknownCollection for a collection that does not
        exist or that the principal may not read, EmbeddingModelChanged, EngineError, StoreDamaged.
        """
        if not query.strip():
            raise InvalidRequest("The query is empty. Ask for something.")
        if not 1 <= k <= MAX_K:
            raise InvalidRequest(f"k is {k}. It must be between 1 and {MAX_K}.")
        if isinstance(collections, str):
            raise InvalidRequest("The collections must be a list of names, not one text.")
        wanted = Filter.of(filter)
        names = list(dict.fromkeys(collections))
        if not names:
            return []
        with ExitStack() as stack:
            views = {
                name: stack.enter_context(self._view(name, principal, wanted)) for name in names
            }
            embedded = self._embedding.submit(self._embedder.embed, [query])
            found = retrieve(
                query, views, lambda: _checked(embedded.result()[0], views), k, self._tuning(views)
            )
        hidden = {} if explain else {"explanation": None}
        return [each.model_copy(update=hidden) for each in found]

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
        contents = target.contents()
        with target.store.read() as snapshot:
            documents, chunks = snapshot.counts()
        facts, version = contents.facts, contents.version
        return CollectionStats(
            collection=collection,
            documents=documents,
            chunks=chunks,
            bytes=_disk_use(target.folder),
            model=facts.model,
            dimension=facts.dimension,
            revision=facts.revision,
            readers=facts.readers,
            version=version.name if version else "",
            index=version.manifest.kind if version else EXACT,
            recall=version.manifest.recall if version else 1.0,
            tail=contents.tail,
            memory=version.manifest.bytes if version else 0,
        )

    def set_readers(self, collection: str, readers: Sequence[str]) -> None:
        """Say who may read it: `everyone`, principals, `team:…`, `channel:…`, `group:…`.

        It holds for every search that begins after it.
        """
        said = checked_readers(readers)
        self._open(collection)
        with locked(self._place(collection)), self._open(collection).write() as draft:
            draft.set_readers(said)

    def set_document_readers(
        self, collection: str, sources: Sequence[str], readers: Sequence[str] | None
    ) -> list[str]:
        """Say who may read some documents, of those that may read the collection; None: all.

        sources: of documents, or of folders of them. It holds for every search that begins after
        it, and for what is added under these sources later. Returns the documents that were meant.
        Raises UnknownCollection, InvalidRequest.
        """
        said = None if readers is None else checked_readers(readers)
        self._open(collection)
        with locked(self._place(collection)):
            target = self._open(collection)
            known = [each.source for each in self.documents(collection)]
            meant = sorted({each for one in sources for each in _meant(one, known, collection)})
            with target.write() as draft:
                draft.set_document_readers(meant, said)
            target.publish_if_due()
        return meant

    def set_calibration(self, collection: str, calibration: Calibration | None) -> None:
        """Judge the relevance of what is found in it by this; None: by the default.

        It holds for searches in this collection alone that begin after it.
        """
        said = calibration.model_dump_json() if calibration else ""
        self._open(collection)
        with locked(self._place(collection)), self._open(collection).write() as draft:
            draft.set_calibration(said)

    def versions(self, collection: str) -> list[VersionInfo]:
        """The versions that are kept, the latest first."""
        with self._open(collection).store.read() as snapshot:
            current = snapshot.facts().version
            return [
                VersionInfo(
                    name=each.name,
                    current=each.name == current,
                    built_at=each.built_at,
                    documents=len(each.documents),
                    chunks=each.chunks,
                    model=snapshot.facts_with(each.vectors).model,
                )
                for each in snapshot.versions()
            ]

    def rollback(self, collection: str, version: str | None = None) -> CollectionStats:
        """Have the documents of an earlier version again.

        version: its name; None for the last one that differs from what there is. Readers' rights
        stay as they are today. Raises UnknownCollection, UnknownVersion, KnowledgeError.
        """
        self._open(collection)
        with locked(self._place(collection)):
            target = self._open(collection)
            roll_back(target.folder, target.store, target.keep, version)
        return self.stats(collection)

    def backup(self, collection: str, path: Path | str) -> int:
        """Copy a collection as it is now into one file; returns its bytes. Others may go on.

        Raises UnknownCollection, InvalidRequest, StoreDamaged, HomeNotWritable.
        """
        return back_up(self._open(collection).store, Path(path))

    def restore(
        self, collection: str, path: Path | str, *, replace: bool = False
    ) -> CollectionStats:
        """Make a collection of a backup. replace: also in the place of one that is there.

        Raises InvalidRequest, KnowledgeError for a file that is no sound backup; then nothing is
        changed. Raises HomeNotWritable.
        """
        folder = self._place(collection)
        with locked(folder):
            if collection_exists(folder) and not replace:
                raise InvalidRequest(
                    f"There is a collection '{collection}' already. Restore under another name, "
                    "or say that it is to be replaced."
                )
            restore(folder, Path(path), self._settings.keep_versions)
        return self.stats(collection)

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
        self._embedding.shutdown()
        self._embedding = _threads()  # none runs until a search comes
        with self._opening:
            for each in self._opened.values():
                each.close()
            self._opened.clear()

    @contextmanager
    def _adding(self, collection: str, progress: Notify | None) -> Iterator[Adding]:
        """The means to bring documents into a collection, as its one writer."""
        folder = self._place(collection)
        with locked(folder):
            if collection_exists(folder):
                self._check_model(collection, self._facts(collection))
            adding = Adding(folder, self._embedder, self._settings, progress or _unheard)
            try:
                yield adding
            finally:
                adding.close()
            if collection_exists(folder):
                self._open(collection).publish_if_due()

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
                held = self._opened[collection] = Collection(folder, self._settings.keep_versions)
            return held

    def _facts(self, collection: str) -> Facts:
        with self._open(collection).store.read() as snapshot:
            return snapshot.facts()

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

    @contextmanager
    def _view(
        self, collection: str, principal: Principal, wanted: Filter
    ) -> Iterator[CollectionView]:
        """What the principal may see of a collection; any other does not exist."""
        with ExitStack() as stack:
            try:
                view = stack.enter_context(self._open(collection).view(principal, wanted))
            except UnknownCollection as error:
                raise UnknownCollection(collection, self._known_to(principal)) from error
            self._check_model(collection, view.facts)
            yield view

    def _tuning(self, views: Mapping[str, CollectionView]) -> Tuning:
        """How to search: a collection that is searched alone may have its own calibration."""
        own = [view.facts.calibration for view in views.values()]
        if len(own) > 1 or not own[0]:
            return self._usual
        return replace(self._usual, calibration=Calibration.model_validate_json(own[0]))

    def _remove_all(self, collection: str, target: Collection) -> Report:
        removed = [each.source for each in self.documents(collection)]
        target.close()
        delete_collection(target.folder)
        return Report(collection=collection, removed=removed)


def _check_list(paths: Sequence[Path | str]) -> None:
    if isinstance(paths, (str, Path)):
        raise InvalidRequest("The paths must be a list of paths, not a single one.")


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(EMBEDDING, thread_name_prefix="knowledge-embedding")


def _checked(vector: Vectors, views: Mapping[str, CollectionView]) -> Vectors:
    """A query's vector, if it is as long as those of the collections."""
    for name, view in views.items():
        check_dimension(view.facts.dimension, len(vector), name)
    return vector


def _disk_use(folder: Path) -> int:
    """Bytes of the files below a folder, of those that are still there."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
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
