"""What a collection holds at one revision, in memory: its parts, and who may see which rows.

Made of a snapshot when the store's revision is another than before; what did not change is taken
over. Immutable but for what it remembers, safe in threads. Start reading at `contents_of`.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from knowledge.allowed import Allowed, Mask
from knowledge.filters import Filter
from knowledge.parts import Classes, Indexed, Part, Segment
from knowledge.readers import may_read
from knowledge.records import SHARED, Facts, Ids
from knowledge.snapshot import Snapshot
from knowledge.versions import Version
from llmasos.request import Principal

REMEMBERED = 64
"""Sets of allowed rows that are kept for further searches."""


class Contents:
    """A collection at one revision."""

    def __init__(
        self,
        facts: Facts,
        parts: Sequence[Part],
        gone: Sequence[Allowed | None],
        readers: Mapping[int, tuple[str, ...]],
    ) -> None:
        """gone: of each part, the rows that were removed; readers: of each access class."""
        self.facts = facts
        self.parts = parts
        self.gone = gone
        self._readers = readers
        self._allowed: dict[tuple[Classes, Filter], list[Allowed | None]] = {}

    @property
    def version(self) -> Version | None:
        """The version that it is searched in."""
        first = self.parts[0] if self.parts else None
        return first.version if isinstance(first, Indexed) else None

    @property
    def tail(self) -> int:
        """How many rows came after the version."""
        pairs = zip(self.parts, self.gone, strict=True)
        return sum(
            len(part.ids) - (gone.count if gone else 0)
            for part, gone in pairs
            if not isinstance(part, Indexed)
        )

    @cached_property
    def starts(self) -> list[int]:
        """The first row of each part."""
        return [part.first for part in self.parts]

    def classes_for(self, principal: Principal) -> Classes:
        """The access classes that a principal may read; None when those are all there are."""
        allowed = {n for n, readers in self._readers.items() if may_read(readers, principal)}
        return None if len(allowed) == len(self._readers) else frozenset({SHARED, *allowed})

    def allowed(
        self, classes: Classes, wanted: Filter, snapshot: Snapshot
    ) -> Sequence[Allowed | None]:
        """Of each part, the rows of these classes that a filter lets through; None for all."""
        key = (classes, wanted)
        known = self._allowed.get(key)
        if known is None:
            documents = snapshot.meant(wanted) if wanted else None
            known = [
                self._allowed_in(part, gone, classes, documents)
                for part, gone in zip(self.parts, self.gone, strict=True)
            ]
            if len(self._allowed) >= REMEMBERED:
                self._allowed.clear()
            self._allowed[key] = known
        return known

    def _allowed_in(
        self, part: Part, gone: Allowed | None, classes: Classes, documents: Ids | None
    ) -> Allowed | None:
        if gone is None and classes is None and documents is None:
            return None
        mask = np.ones(len(part.ids), dtype=bool) if gone is None else ~gone.mask
        if classes is not None:
            table = np.zeros(int(part.classes.max(initial=0)) + 1, dtype=bool)
            table[[each for each in classes if each < len(table)]] = True
            mask &= table[part.classes]
        if documents is not None:
            mask &= _rows_of(part, documents)
        return Allowed(mask)


def contents_of(
    snapshot: Snapshot, facts: Facts, version: Version | None, before: Contents | None
) -> Contents:
    """What the snapshot shows, searched in a version; what `before` has of it is taken over."""
    segments: list[Segment] = []
    if before is not None and _same(before, facts, version):
        segments = [part for part in before.parts if isinstance(part, Segment)]
    first = Indexed(version) if version is not None else None
    watermark = int(version.ids[-1]) if version is not None else 0
    segments = _grown(snapshot, facts, watermark, segments, len(version.ids) if version else 0)
    live = snapshot.live(after=int(version.documents[-1]) if version is not None else 0)
    parts: list[Part] = [*segments]
    gone = [_gone(~_rows_of(each, live)) for each in segments]
    if first is not None:
        parts.insert(0, first)
        gone.insert(0, _gone(_rows_of(first, snapshot.dead())))
    return Contents(facts, parts, gone, snapshot.classes())


def _same(before: Contents, facts: Facts, version: Version | None) -> bool:
    """Whether the tail of what was there before is the tail of the same rows."""
    return before.version is version and before.facts.vectors == facts.vectors


def _grown(
    snapshot: Snapshot, facts: Facts, watermark: int, segments: list[Segment], rows: int
) -> list[Segment]:
    """The tail with what is new: in segments of falling size, so that there are few of them."""
    segments = list(segments)
    last = int(segments[-1].ids[-1]) if segments else watermark
    new = list(snapshot.pieces(facts, last))
    if not new:
        return segments
    size = sum(len(each.ids) for each in new)
    absorbed = False
    while segments and len(segments[-1].ids) <= size:
        size += len(segments.pop().ids)
        absorbed = True
    if absorbed:
        last = int(segments[-1].ids[-1]) if segments else watermark
        new = list(snapshot.pieces(facts, last))
    first = segments[-1].first + len(segments[-1].ids) if segments else rows
    return [*segments, Segment.of(first, new, list(snapshot.texts(last)))]


def _gone(mask: Mask) -> Allowed | None:
    return Allowed(mask) if mask.any() else None


def _rows_of(part: Part, documents: Ids) -> Mask:
    """Which rows are of these documents; both are in ascending order."""
    if len(documents) > len(part.documents):
        return np.isin(part.documents, documents)
    edges = np.zeros(len(part.documents) + 1, dtype=np.int32)
    np.add.at(edges, np.searchsorted(part.documents, documents, side="left"), 1)
    np.add.at(edges, np.searchsorted(part.documents, documents, side="right"), -1)
    return np.cumsum(edges[:-1]) > 0
