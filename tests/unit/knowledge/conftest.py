"""What tests of knowledge share: files to read, what reads them, collections made of texts."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from knowledge.chunking import Chunk
from knowledge.collection import Collection
from knowledge.documents import Document, Limits
from knowledge.filters import Filter
from knowledge.folders import create_collection, locked
from knowledge.loaders import loader_of, loaders_by_suffix, read_document
from knowledge.records import Entry
from llmasos.errors import UnreadableDocument
from llmasos.request import LOCAL
from llmasos.testing.retrieval import HashingEmbedder

EMBEDDER = HashingEmbedder(dimension=32)


class Shelf:
    """A collection, and the short ways to fill it and to look into it that tests need."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection

    def put(
        self,
        pages: Mapping[str, str | Sequence[str]],
        readers: Sequence[str] | None = None,
        **metadata: object,
    ) -> None:
        """Store pages by source: a text, or a text for each chunk."""
        with locked(self.collection.folder), self.collection.write() as draft:
            for source, texts in pages.items():
                given = [texts] if isinstance(texts, str) else texts
                chunks = [Chunk("", "", each, 0, len(each)) for each in given]
                vectors = EMBEDDER.embed([each.embedded for each in chunks])
                entry = Entry(source, f"/{source}", "", "0", 1, chunks, 1, metadata)
                draft.put(entry, vectors, readers)

    def remove(self, *sources: str) -> None:
        with locked(self.collection.folder), self.collection.write() as draft:
            for source in sources:
                draft.remove(source)

    def publish(self) -> str:
        with locked(self.collection.folder):
            self.collection.publish()
        return self.collection.contents().facts.version

    def nearest(self, query, k=5, principal=LOCAL, wanted=None):
        """(source, score) of the nearest chunks."""
        with self.collection.view(principal, Filter.of(wanted)) as view:
            hits = view.nearest(EMBEDDER.embed([query])[0], k)
            return sources(view, hits)

    def matching(self, terms, k=5, principal=LOCAL, wanted=None):
        """(source, score) of the chunks that match best."""
        with self.collection.view(principal, Filter.of(wanted)) as view:
            return sources(view, view.matching(terms, k))

    def count(self, principal=LOCAL, wanted=None):
        with self.collection.view(principal, Filter.of(wanted)) as view:
            return view.count


def sources(view, hits):
    chunks = view.chunks([hit.row for hit in hits])
    return [(each.source, round(hit.score, 3)) for each, hit in zip(chunks, hits, strict=True)]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    """Puts a file into the test's folder."""

    def make(name: str, data: bytes | str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return make


@pytest.fixture
def read() -> Callable[..., Document]:
    """Reads a file with the loader of its ending, here in this process."""

    def call(path: Path, **limits: int) -> Document:
        return read_document(path, loader_of(path, loaders_by_suffix()), Limits(**limits))

    return call


@pytest.fixture
def reason(read: Callable[..., Document]) -> Callable[..., str]:
    """Why a file cannot be read."""

    def call(path: Path, **limits: int) -> str:
        with pytest.raises(UnreadableDocument) as caught:
            read(path, **limits)
        return caught.value.reason

    return call


@pytest.fixture
def shelf(tmp_path):
    """Makes a shelf; each name is another collection."""
    made = []

    def make(name="help"):
        folder = tmp_path / "shelves" / name
        if not folder.exists():
            create_collection(folder, EMBEDDER.model, 32)
        made.append(Shelf(Collection(folder)))
        return made[-1]

    yield make
    for each in made:
        each.collection.close()
