"""Adding documents: find, read, cut, embed, store, each while the next are on their way.

A batch of documents is committed whole; after a crash the next add goes on behind the last one,
since what is in the collection already is known by its hash. What a collection mirrors stands in
`mirroring.py`. Start reading at `Adding.run`.
"""

import hashlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from knowledge.chunking import Recipe, chunks
from knowledge.collection import Collection, check_dimension
from knowledge.documents import Loader, title_from_name
from knowledge.embedding import Embedder, Vectors
from knowledge.folders import collection_exists, create_collection, delete_collection
from knowledge.loaders import loaders_by_suffix
from knowledge.names import Names
from knowledge.pipeline import ahead
from knowledge.reader import Reader
from knowledge.records import Entry, Known
from knowledge.sources import File, Search, too_large
from llmasos.errors import UnreadableDocument
from llmasos.settings import KnowledgeSettings
from llmasos.upkeep import LeftOut, Notify, Progress, Report

BATCH_CHUNKS = 512
"""Chunks after which a batch is committed, or an eighth of the collection if that is more: a
commit writes more than its own rows. At most BATCH_MOST, which is what a crash may cost."""
BATCH_MOST = 8192
READ_AHEAD = 64
"""Documents that are read and cut while others are embedded."""


@dataclass(frozen=True)
class _Read:
    """A file that was looked at, and what is to be stored of it, if anything."""

    file: File
    entry: Entry | None


@dataclass
class _Batch:
    """Documents that are embedded and stored together."""

    entries: list[Entry] = field(default_factory=list)
    chunks: int = 0

    def take(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.chunks += len(entry.chunks)


class Adding:
    """One call that brings documents in, under the collection's lock."""

    def __init__(
        self, folder: Path, embedder: Embedder, settings: KnowledgeSettings, notify: Notify
    ) -> None:
        self.report = Report(collection=folder.name)
        self.collection = Collection(folder) if collection_exists(folder) else None
        self.known, self._stored = self._state()
        self._folder = folder
        self._embedder = embedder
        self._settings = settings
        self._notify = notify
        self._recipe = Recipe(embedder.tokens, settings.chunk_tokens, settings.chunk_overlap)
        self._names = Names({each.source: each.origin for each in self.known.values()})
        self._moves: dict[str, tuple[str, str]] = {}

    def run(self, given: Iterable[Path | str]) -> Report:
        """Add what paths and addresses mean; returns what was done to which document."""
        with TemporaryDirectory(prefix="llmasos-") as scratch, self.reader() as reader:
            self.take(self.search(given, reader, Path(scratch)).files.values(), reader)
        return self.report

    def upload(self, documents: Mapping[str, bytes]) -> Report:
        """Add documents that somebody sends under these names."""
        with TemporaryDirectory(prefix="llmasos-") as scratch, self.reader() as reader:
            files = []
            for number, (name, data) in enumerate(documents.items()):
                path = Path(scratch, str(number), PurePosixPath(name).name)
                path.parent.mkdir()
                path.write_bytes(data)
                files.append(File(path, name, f"upload:{name}"))
            self.take(files, reader)
        return self.report

    def reader(self) -> Reader:
        """Who reads the documents."""
        self._loaders: Mapping[str, Loader] = loaders_by_suffix()
        return Reader(self._loaders, self._settings)

    def search(self, given: Iterable[Path | str], reader: Reader, scratch: Path) -> Search:
        """Find what paths and addresses mean. scratch: a folder that lasts until all is read."""
        search = Search(reader, self._loaders, scratch, self._settings)
        for each in given:
            search.take(each)
        self.report.failed.extend(search.failed)
        self.report.skipped.extend(search.skipped)
        return search

    def take(
        self,
        files: Iterable[File],
        reader: Reader,
        gone: Mapping[str, Known] | None = None,
        *,
        dry_run: bool = False,
    ) -> None:
        """Store what is new or has changed in these files.

        gone: documents whose files are no more, by their content; a file with the same content is
        that file moved. dry_run: say what would be done, and do nothing.
        """
        read = self._read_all(list(files), reader, dict(gone or {}))
        for batch, vectors in ahead(self._embedded(ahead(read, READ_AHEAD), dry_run), 1):
            self._store(batch, vectors, dry_run)
        if self.collection and self._moves and not dry_run:
            with self.collection.store.write() as draft:
                draft.move(self._moves)

    def make(self) -> Collection:
        """The collection; an empty one where there was none."""
        if self.collection is None:
            dimension = self._embedder.embed([self._folder.name]).shape[1]
            create_collection(self._folder, self._embedder.model, dimension)
            self.collection = Collection(self._folder)
        return self.collection

    def close(self) -> None:
        """Let go of the collection."""
        if self.collection:
            self.collection.close()

    def _state(self) -> tuple[dict[str, Known], int]:
        """The documents that are there by source, and the number of chunks."""
        if self.collection is None:
            return {}, 0
        with self.collection.store.read() as snapshot:
            return {each.source: each for each in snapshot.known()}, snapshot.counts()[1]

    def _read_all(
        self, files: Sequence[File], reader: Reader, gone: dict[str, Known]
    ) -> Generator[_Read, None, None]:
        """Each file in turn, read and cut if that is needed. Runs in a thread of its own."""
        for place, file in enumerate(files):
            self._notify(Progress(done=place, total=len(files), source=file.name))
            try:
                entry = self._read(file, reader, gone)
            except UnreadableDocument as error:
                self.report.failed.append(LeftOut(source=file.origin, reason=error.reason))
                entry = None
            yield _Read(file, entry)
        self._notify(Progress(done=len(files), total=len(files), source=""))

    def _read(self, file: File, reader: Reader, gone: dict[str, Known]) -> Entry | None:
        """What to store of a file; None when it has not changed. Raises UnreadableDocument."""
        data = _bytes(file, self._settings)
        sha256 = hashlib.sha256(data).hexdigest()
        moved = gone.pop(sha256, None)
        if moved and moved.recipe == self._recipe.number and _keeps_title(moved, file):
            source = self._names.rename(moved.source, file)
            self._moves[moved.source] = (source, file.origin)
            self.report.moved[source] = moved.source
            return None
        source = self._names.name(file)
        before = self.known.get(source)
        if before and (before.sha256, before.recipe) == (sha256, self._recipe.number):
            self.report.unchanged.append(source)
            if before.origin != file.origin:
                self._moves[source] = (source, file.origin)
            return None
        document = reader.read(file.path)
        return Entry(
            source,
            file.origin,
            document.title,
            sha256,
            len(data),
            chunks(document, self._recipe),
            self._recipe.number,
        )

    def _embedded(
        self, read: Iterable[_Read], dry_run: bool
    ) -> Generator[tuple[_Batch, Vectors | None], None, None]:
        """The documents in batches, with the vectors of their chunks. Runs in a thread."""
        batch = _Batch()
        for each in read:
            if each.entry is not None:
                batch.take(each.entry)
            if batch.chunks >= min(max(BATCH_CHUNKS, self._stored // 8), BATCH_MOST):
                yield batch, None if dry_run else self._vectors(batch)
                batch = _Batch()
        if batch.entries:
            yield batch, None if dry_run else self._vectors(batch)

    def _vectors(self, batch: _Batch) -> Vectors:
        return self._embedder.embed(
            [chunk.embedded for entry in batch.entries for chunk in entry.chunks]
        )

    def _store(self, batch: _Batch, vectors: Vectors | None, dry_run: bool) -> None:
        """Commit a batch and note it in the report."""
        if vectors is not None and not dry_run:
            self._commit(batch, vectors)
        self._stored += batch.chunks
        for entry in batch.entries:
            done = self.report.changed if entry.source in self.known else self.report.added
            done.append(entry.source)

    def _commit(self, batch: _Batch, vectors: Vectors) -> None:
        if self.collection is not None:
            self._write(self.collection, batch, vectors)
            return
        create_collection(self._folder, self._embedder.model, vectors.shape[1])
        made = Collection(self._folder)
        try:
            self._write(made, batch, vectors)
        except BaseException:  # an add that fails leaves no empty collection behind
            made.close()
            delete_collection(self._folder)
            raise
        self.collection = made

    def _write(self, target: Collection, batch: _Batch, vectors: Vectors) -> None:
        with target.write() as draft:
            check_dimension(draft.facts().dimension, vectors.shape[1], self._folder.name)
            first = 0
            for entry in batch.entries:
                last = first + len(entry.chunks)
                draft.put(entry, vectors[first:last])
                first = last


def _bytes(file: File, settings: KnowledgeSettings) -> bytes:
    """The file's content. Raises UnreadableDocument when it is too large, empty or forbidden."""
    try:
        file.origin.encode()
        size = file.path.stat().st_size
        if size > settings.max_file_bytes:
            raise UnreadableDocument(file.name, too_large(size, settings))
        data = file.path.read_bytes()
    except UnicodeEncodeError as error:
        raise UnreadableDocument(file.name, "its name is not UTF-8; rename it") from error
    except OSError as error:
        raise UnreadableDocument(file.name, error.strerror or str(error)) from error
    if not data.strip():
        raise UnreadableDocument(file.name, "it is empty")
    return data


def _keeps_title(before: Known, file: File) -> bool:
    """Whether the document is called the same in its new place: its title may be its name's."""
    old, new = PurePosixPath(before.source), PurePosixPath(file.name)
    named = before.title in (title_from_name(Path(old)), old.name)
    return old.suffix == new.suffix and (old.name == new.name or not named)
