"""The shelf: the collections in a folder by name, opened once, and only for those who may read.

Stands between `knowledge_base.py`, which says what can be done with collections, and
`collection.py`, which reads and writes one. Knows neither embedder nor ranking.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Lock

from knowledge.collection import Collection
from knowledge.collection_view import CollectionView
from knowledge.filters import Filter
from knowledge.folders import NAME, collection_exists, identity, locked
from knowledge.readers import may_read
from knowledge.records import Facts
from knowledge.report import DocumentInfo
from llmasos.errors import InvalidRequest, StoreDamaged, UnknownCollection
from llmasos.request import Principal


class Shelf:
    """The collections in a folder, one folder each. Safe in threads."""

    def __init__(self, folder: Path, keep: int) -> None:
        """keep: how many earlier versions of each stay."""
        self._folder = folder
        self._keep = keep
        self._opened: dict[str, Collection] = {}
        self._opening = Lock()

    def names(self) -> list[str]:
        """What the collections are called."""
        if not self._folder.is_dir():
            return []
        return sorted(
            each.name
            for each in self._folder.iterdir()
            if NAME.fullmatch(each.name) and collection_exists(each)
        )

    def place(self, collection: str) -> Path:
        """Its folder. Raises InvalidRequest for a name that could lead elsewhere."""
        if not NAME.fullmatch(collection):
            raise InvalidRequest(
                f"'{collection}' cannot be a collection's name: 1 to 63 letters, digits, '-', '_' "
                "or '.', the first a letter or a digit."
            )
        return self._folder / collection

    def open(self, collection: str) -> Collection:
        """The collection as it is on disk now. Raises UnknownCollection."""
        folder = self._folder / collection
        now = identity(folder) if NAME.fullmatch(collection) else None
        if now is None:
            raise UnknownCollection(collection, tuple(self.names()))
        with self._opening:
            held = self._opened.get(collection)
            if held is None or held.identity != now:  # removed and made again since
                if held is not None:
                    held.store.close()
                held = self._opened[collection] = Collection(folder, self._keep)
            return held

    @contextmanager
    def writing(self, collection: str) -> Iterator[Collection]:
        """The collection, for its one writer. Raises UnknownCollection, KnowledgeError."""
        self.open(collection)
        with locked(self.place(collection)):
            yield self.open(collection)

    @contextmanager
    def view(
        self, collection: str, principal: Principal, wanted: Filter
    ) -> Iterator[CollectionView]:
        """What the principal may see of a collection; any other does not exist."""
        with ExitStack() as stack:
            try:
                view = stack.enter_context(self.open(collection).view(principal, wanted))
            except UnknownCollection as error:
                raise UnknownCollection(collection, self._known_to(principal)) from error
            yield view

    def require_readable(self, collection: str, principal: Principal) -> None:
        """Raises UnknownCollection for a collection that the principal may not read."""
        if collection not in self._known_to(principal):
            raise UnknownCollection(collection, self._known_to(principal))

    def facts(self, collection: str) -> Facts:
        """What holds for the whole collection."""
        with self.open(collection).store.read() as snapshot:
            return snapshot.facts()

    def documents(self, collection: str) -> list[DocumentInfo]:
        """Its documents, by source."""
        with self.open(collection).store.read() as snapshot:
            return snapshot.documents()

    def close(self) -> None:
        """Let go of every collection."""
        with self._opening:
            for each in self._opened.values():
                each.close()
            self._opened.clear()

    def _known_to(self, principal: Principal) -> tuple[str, ...]:
        """The names of the collections that the principal may read."""
        known = []
        for name in self.names():
            with suppress(StoreDamaged, UnknownCollection):
                if may_read(self.facts(name).readers, principal):
                    known.append(name)
        return tuple(known)
