"""Adding documents: find, read, cut, embed, store, a batch of documents at a time.

A batch is committed whole; after a crash the next add goes on behind the last one, since what is
in the collection already is known by its hash. Start reading at `Adding.run`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from knowledge.chunking import RECIPE, chunks
from knowledge.collection import Collection, check_dimension
from knowledge.documents import Loader
from knowledge.embedding import Embedder, Vectors
from knowledge.folders import collection_exists, create_collection, delete_collection
from knowledge.loaders import MAX_BYTES, read_document
from knowledge.report import Failure, Notify, Progress, Report
from knowledge.sources import File, Names, find
from knowledge.store import Entry, Known, new_facts
from llmasos.errors import UnreadableDocument

BATCH_CHUNKS = 256
"""Chunks after which a batch is committed, or an eighth of the collection if that is more:
each commit writes the whole index, and so all of them together write it a few times only."""


@dataclass
class _Batch:
    """Documents that wait to be embedded and stored together."""

    entries: list[Entry] = field(default_factory=list)
    chunks: int = 0

    def take(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.chunks += len(entry.chunks)


class Adding:
    """One call of `KnowledgeBase.add`, under the collection's lock."""

    def __init__(self, folder: Path, embedder: Embedder, notify: Notify) -> None:
        self._folder = folder
        self._embedder = embedder
        self._notify = notify
        self._collection = Collection(folder) if collection_exists(folder) else None
        self._report = Report(collection=folder.name)
        self._moved: dict[str, str] = {}

    def run(self, paths: Sequence[Path | str], readable: Mapping[str, Loader]) -> Report:
        """Add what the paths mean; returns what was done to which document."""
        found = find(paths, readable)
        self._report.failed.extend(found.failed)
        self._report.skipped = found.skipped
        known, stored = self._known()
        names = Names({each.source: each.origin for each in known.values()})
        batch = _Batch()
        for place, file in enumerate(found.files):
            self._notify(Progress(done=place, total=len(found.files), source=file.name))
            entry = self._read(file, names, known, readable)
            if entry is not None:
                batch.take(entry)
            if batch.chunks >= max(BATCH_CHUNKS, stored // 8):
                stored += batch.chunks
                self._store(batch, known)
                batch = _Batch()
        self._store(batch, known)
        if self._collection and self._moved:
            with self._collection.store.write() as draft:
                draft.move(self._moved)
        total = len(found.files)
        self._notify(Progress(done=total, total=total, source=""))
        return self._report

    def close(self) -> None:
        """Let go of the collection."""
        if self._collection:
            self._collection.close()

    def _known(self) -> tuple[dict[str, Known], int]:
        """The documents that are there by source, and the number of chunks."""
        if self._collection is None:
            return {}, 0
        with self._collection.store.read() as snapshot:
            return {each.source: each for each in snapshot.known()}, snapshot.counts()[1]

    def _read(
        self, file: File, names: Names, known: Mapping[str, Known], readable: Mapping[str, Loader]
    ) -> Entry | None:
        """The document to store; None when it has not changed or cannot be read."""
        try:
            data = _bytes(file)
            source = names.name(file)
            sha256 = hashlib.sha256(data).hexdigest()
            before = known.get(source)
            if before and (before.sha256, before.recipe) == (sha256, RECIPE):
                self._report.unchanged.append(source)
                if before.origin != str(file.path):
                    self._moved[source] = str(file.path)
                return None
            document = read_document(file.path, readable)
            cut = chunks(document)
        except UnreadableDocument as error:
            self._report.failed.append(Failure(source=str(file.path), reason=error.reason))
            return None
        return Entry(source, str(file.path), document.title, sha256, len(data), cut)

    def _store(self, batch: _Batch, known: Mapping[str, Known]) -> None:
        """Embed a batch and commit it."""
        if not batch.entries:
            return
        vectors = self._embedder.embed([c.embedded for e in batch.entries for c in e.chunks])
        if self._collection is None:
            create_collection(self._folder, new_facts(self._embedder.model, vectors.shape[1]))
            try:
                self._commit(Collection(self._folder), batch, vectors)
            except BaseException:  # an add that fails leaves no empty collection behind
                delete_collection(self._folder)
                raise
        else:
            self._commit(self._collection, batch, vectors)
        for entry in batch.entries:
            done = self._report.changed if entry.source in known else self._report.added
            done.append(entry.source)

    def _commit(self, target: Collection, batch: _Batch, vectors: Vectors) -> None:
        with target.write() as draft:
            check_dimension(draft.facts().dimension, vectors.shape[1], self._folder.name)
            first = 0
            for entry in batch.entries:
                last = first + len(entry.chunks)
                draft.put(entry, vectors[first:last])
                first = last
        self._collection = target


def _bytes(file: File) -> bytes:
    """The file's content. Raises UnreadableDocument when it is too large, empty or forbidden."""
    try:
        str(file.path).encode()
        size = file.path.stat().st_size
        if size > MAX_BYTES:
            raise UnreadableDocument(
                file.name, f"it has {size:,} bytes, more than {MAX_BYTES:,}; split it"
            )
        data = file.path.read_bytes()
    except UnicodeEncodeError as error:
        raise UnreadableDocument(file.name, "its name is not UTF-8; rename it") from error
    except OSError as error:
        raise UnreadableDocument(file.name, error.strerror or str(error)) from error
    if not data.strip():
        raise UnreadableDocument(file.name, "it is empty")
    return data
