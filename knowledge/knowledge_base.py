"""The knowledge base: collections of documents that can be added to and searched.

What agents, the command line and the HTTP API use. It leaves finding collections and their
readers' rights to `shelf.py`, adding to `ingest.py`, ranking to `retrieve.py`, and what is said of
a collection to `keeping.py`. Knows no agent.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from knowledge.backup import back_up, restore
from knowledge.calibration import Calibration
from knowledge.collection import Collection, check_dimension
from knowledge.collection_view import CollectionView
from knowledge.embedding import Embedder, HttpEmbedder, Vectors
from knowledge.evaluation import Evaluation, Judged, evaluate
from knowledge.filters import Filter, Wanted
from knowledge.folders import collection_exists, delete_collection, locked
from knowledge.ingest import Adding
from knowledge.keeping import meant, stats_of, versions_of
from knowledge.mirroring import SyncOptions, forget, mirror, remember
from knowledge.names import upload_name
from knowledge.publishing import roll_back
from knowledge.readers import checked_readers
from knowledge.records import Facts
from knowledge.reembedding import rebuild
from knowledge.report import CollectionStats, DocumentInfo, VersionInfo
from knowledge.retrieve import Tuning, retrieve
from knowledge.shelf import Shelf
from llmasos.errors import EmbeddingModelChanged, InvalidRequest
from llmasos.request import ADMIN, LOCAL, Principal
from llmasos.retrieval import Passage
from llmasos.settings import KnowledgeSettings, Settings
from llmasos.upkeep import Notify, Progress, Report

MAX_K = 1_000
"""Most passages of one search."""
EMBEDDING = 16
"""Queries that are embedded at a time, each beside its own search by keywords."""


KEEPERS = f"scope:{ADMIN}"
"""Who may keep every collection up, whoever may read it."""


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
        self._embedder = embedder
        self._settings = settings or KnowledgeSettings()
        self._usual = tuning or Tuning()
        self._shelf = Shelf(folder, self._settings.keep_versions)
        self._embedding = _threads()

    @classmethod
    def open(cls, settings: Settings) -> Self:
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

    def sync_again(self, collection: str, principal: Principal, progress: Notify) -> Report:
        """Mirror the sources that a collection remembers, and no others: an `upkeep.Upkeep`.

        The principal must be one that may read it, or keep this installation.
        Raises UnknownCollection, InvalidRequest when it mirrors no source, and what `add` raises.
        """
        if not principal.among((KEEPERS,)):
            self._shelf.require_readable(collection, principal)
        self._shelf.open(collection)
        return self.sync(collection, progress=progress)

    def sources(self, collection: str) -> list[str]:
        """What a collection mirrors: absolute paths, with or without wildcards, and addresses."""
        with self._shelf.open(collection).store.read() as snapshot:
            return snapshot.sources()

    def remember(self, collection: str, paths: Sequence[Path | str]) -> list[str]:
        """Have a collection mirror sources from the next sync on; returns all that it mirrors.

        Nothing is read yet. The collection is made when there is none.
        Raises InvalidRequest for a path that leads nowhere, EngineError.
        """
        _check_list(paths)
        with self._adding(collection, None) as adding:
            return remember(adding, paths)

    def forget(self, collection: str, sources: Sequence[str]) -> list[str]:
        """Mirror these sources no longer; their documents stay. Returns what it still mirrors.

        Raises UnknownCollection, InvalidRequest for one that it does not mirror.
        """
        _check_list(sources)
        with self._shelf.writing(collection) as target:
            return forget(target, sources)

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
        with self._shelf.writing(collection) as target:
            if sources is None:
                return self._remove_all(collection, target)
            gone = meant(sources, self.documents(collection), collection)
            with target.write() as draft:
                for source in gone:
                    draft.remove(source)
            target.publish_if_due()
        return Report(collection=collection, removed=gone)

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
                name: stack.enter_context(self._shelf.view(name, principal, wanted))
                for name in names
            }
            for name, view in views.items():
                self._check_model(name, view.facts)
            embedded = self._embedding.submit(self._embedder.embed, [query])
            found = retrieve(
                query, views, lambda: _checked(embedded.result()[0], views), k, self._tuning(views)
            )
        hidden = {} if explain else {"explanation": None}
        return [each.model_copy(update=hidden) for each in found]

    def evaluate(
        self, collection: str, judged: Sequence[Judged], principal: Principal = LOCAL
    ) -> Evaluation:
        """Measure how well a collection answers judged queries, with a principal's rights.

        Raises what `search` raises.
        """
        return evaluate(self, collection, judged, principal)

    def collections(self) -> list[str]:
        """The names of the collections."""
        return self._shelf.names()

    def documents(self, collection: str) -> list[DocumentInfo]:
        """A collection's documents, by source."""
        return self._shelf.documents(collection)

    def stats(self, collection: str) -> CollectionStats:
        """What a collection holds."""
        return stats_of(self._shelf.open(collection))

    def set_readers(self, collection: str, readers: Sequence[str]) -> None:
        """Say who may read it: `everyone`, principals, `team:…`, `channel:…`, `group:…`.

        It holds for every search that begins after it.
        """
        said = checked_readers(readers)
        with self._shelf.writing(collection) as target, target.write() as draft:
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
        with self._shelf.writing(collection) as target:
            found = meant(sources, self.documents(collection), collection)
            with target.write() as draft:
                draft.set_document_readers(found, said)
            target.publish_if_due()
        return found

    def set_calibration(self, collection: str, calibration: Calibration | None) -> None:
        """Judge the relevance of what is found in it by this; None: by the default.

        It holds for searches in this collection alone that begin after it.
        """
        said = calibration.model_dump_json() if calibration else ""
        with self._shelf.writing(collection) as target, target.write() as draft:
            draft.set_calibration(said)

    def versions(self, collection: str) -> list[VersionInfo]:
        """The versions that are kept, the latest first."""
        return versions_of(self._shelf.open(collection))

    def rollback(self, collection: str, version: str | None = None) -> CollectionStats:
        """Have the documents of an earlier version again.

        version: its name; None for the last one that differs from what there is. Readers' rights
        stay as they are today. Raises UnknownCollection, UnknownVersion, InvalidRequest.
        """
        with self._shelf.writing(collection) as target:
            roll_back(target.folder, target.store, target.keep, version)
        return self.stats(collection)

    def backup(self, collection: str, path: Path | str) -> int:
        """Copy a collection as it is now into one file; returns its bytes. Others may go on.

        Raises UnknownCollection, InvalidRequest, StoreDamaged, HomeNotWritable.
        """
        return back_up(self._shelf.open(collection).store, Path(path))

    def restore(
        self, collection: str, path: Path | str, *, replace: bool = False
    ) -> CollectionStats:
        """Make a collection of a backup. replace: also in the place of one that is there.

        Raises InvalidRequest, KnowledgeError for a file that is no sound backup; then nothing is
        changed. Raises HomeNotWritable.
        """
        folder = self._shelf.place(collection)
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
        with self._shelf.writing(collection) as target:
            rebuild(target, self._embedder, progress or _unheard)
        return self.stats(collection)

    def close(self) -> None:
        """Let go of every collection. The embedder stays its owner's."""
        self._embedding.shutdown()
        self._embedding = _threads()  # none runs until a search comes
        self._shelf.close()

    @contextmanager
    def _adding(self, collection: str, progress: Notify | None) -> Iterator[Adding]:
        """The means to bring documents into a collection, as its one writer."""
        folder = self._shelf.place(collection)
        with locked(folder):
            if collection_exists(folder):
                self._check_model(collection, self._shelf.facts(collection))
            adding = Adding(folder, self._embedder, self._settings, progress or _unheard)
            try:
                yield adding
            finally:
                adding.close()
            if collection_exists(folder):
                self._shelf.open(collection).publish_if_due()

    def _check_model(self, collection: str, facts: Facts) -> None:
        if facts.model != self._embedder.model:
            raise EmbeddingModelChanged(collection, facts.model, self._embedder.model)

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
