"""One collection on disk: its store, its version in force, and views for those who search.

What is committed to the store is there for the next search, in this process and in others: a
search reads the store's facts first, which cost little, and takes in what is new. Files that are
damaged are made again, or done without. Start reading at `Collection.view` and `Collection.write`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import structlog

from knowledge.collection_view import CollectionView
from knowledge.contents import Contents, contents_of
from knowledge.draft import Draft
from knowledge.filters import Filter
from knowledge.folders import STORE, identity, locked
from knowledge.publishing import in_force, is_due, is_overdue, publish
from knowledge.readers import may_read
from knowledge.records import Facts
from knowledge.snapshot import Snapshot
from knowledge.store import Store
from knowledge.versions import Version, discard_version, open_version
from llmasos.errors import HomeNotWritable, IndexDamaged, KnowledgeError, UnknownCollection
from llmasos.request import Principal

log = structlog.get_logger()

KEEP = 2
"""Earlier versions that are kept unless a setting says otherwise."""


class Collection:
    """Reads and writes one collection; safe in threads, and beside other processes."""

    def __init__(self, folder: Path, keep: int = KEEP) -> None:
        """keep: how many earlier versions stay for rolling back."""
        self.folder = folder
        self.identity = identity(folder)
        self.store = Store(folder / STORE)
        self.keep = keep
        self._contents: Contents | None = None
        self._unusable = ""
        """The version whose files are damaged and cannot be made again now."""
        self._refreshing = Lock()

    @contextmanager
    def view(self, principal: Principal, wanted: Filter) -> Iterator[CollectionView]:
        """What a principal may see of it now. Raises UnknownCollection when that is nothing."""
        with self.store.read() as snapshot:
            contents = self._current(snapshot)
            if contents is not None:
                yield self._seen(contents, snapshot, principal, wanted)
                return
        self._mend()
        with self.view(principal, wanted) as view:
            yield view

    @contextmanager
    def write(self) -> Iterator[Draft]:
        """Change the collection, wholly or not at all. Hold `locked` around it."""
        with self.store.write() as draft:
            yield draft
            overdue = is_overdue(draft, draft.facts())
        if overdue:
            self._try_to_publish()

    def publish(self) -> None:
        """Make a new version. Hold `locked` around it."""
        publish(self.folder, self.store, self.keep)

    def publish_if_due(self) -> None:
        """Make a new version if much has changed since the last. Hold `locked` around it.

        When there is no room for one, what has changed is searched as the tail that it is.
        """
        with self.store.read() as snapshot:
            due = is_due(snapshot, snapshot.facts())
        if due:
            self._try_to_publish()

    def contents(self) -> Contents:
        """What it holds now, whoever asks: for figures, not for searching."""
        with self.store.read() as snapshot:
            contents = self._current(snapshot)
        if contents is None:
            self._mend()
            return self.contents()
        return contents

    def close(self) -> None:
        """Let go of the store and the version."""
        self.store.close()
        self._contents = None

    def _try_to_publish(self) -> None:
        try:
            self.publish()
        except HomeNotWritable as error:
            log.warning("knowledge.version_not_made", path=error.path, reason=error.reason)

    def _seen(
        self, contents: Contents, snapshot: Snapshot, principal: Principal, wanted: Filter
    ) -> CollectionView:
        if not may_read(contents.facts.readers, principal):
            raise UnknownCollection(self.folder.name)
        classes = contents.classes_for(principal)
        return CollectionView(
            contents, snapshot, classes, contents.allowed(classes, wanted, snapshot)
        )

    def _current(self, snapshot: Snapshot) -> Contents | None:
        """The contents that the snapshot shows; None when the version's files are damaged."""
        facts = snapshot.facts()
        current = self._contents
        if current is not None and current.facts.revision == facts.revision:
            return current
        with self._refreshing:
            current = self._contents
            if current is not None and current.facts.revision == facts.revision:
                return current
            try:
                version = self._version(snapshot, facts)
            except IndexDamaged as error:
                log.warning("knowledge.index_damaged", path=error.path, reason=error.reason)
                return None
            made = contents_of(snapshot, facts, version, current)
            if current is None or current.facts.revision < facts.revision:
                self._contents = made
            return made

    def _version(self, snapshot: Snapshot, facts: Facts) -> Version | None:
        if not facts.version or facts.version == self._unusable:
            return None
        known = self._contents.version if self._contents is not None else None
        if known is not None and known.name == facts.version:
            return known
        version = open_version(self.folder, facts.version)
        meant = in_force(snapshot, facts)
        last = int(version.ids[-1]) if len(version.ids) else 0
        if meant is None or (meant.chunks, meant.watermark) != (len(version.ids), last):
            raise IndexDamaged(str(self.folder), "it is not that of this store")
        if version.index.dimension != facts.dimension:
            raise IndexDamaged(str(self.folder), "its vectors are of another model")
        return version

    def _mend(self) -> None:
        """Make a new version in the place of a damaged one; if that cannot be, do without."""
        with self.store.read() as snapshot:
            damaged = snapshot.facts().version
        try:
            with locked(self.folder, patience=0):
                with self.store.read() as snapshot:
                    if snapshot.facts().version != damaged:
                        return  # another process was faster
                discard_version(self.folder, damaged)
                self.publish()
        except (HomeNotWritable, KnowledgeError) as error:
            log.warning("knowledge.index_not_made", folder=str(self.folder), reason=str(error))
            self._unusable = damaged


def check_dimension(built: int, given: int, name: str) -> None:
    """Refuse vectors of another length than the collection's."""
    if built != given:
        raise KnowledgeError(
            f"Collection '{name}' holds vectors of length {built}, the embedding server gives "
            f"{given}: it serves another model. Serve the old one, or embed again: "
            f"llmasos knowledge rebuild {name}"
        )
