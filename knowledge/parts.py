"""The parts that a collection is searched in: its version, and pieces of the tail after it.

Both are immutable and answer alike, by rows that are numbered through all parts; what they may
answer with is said in each call. Knows no rights. Start reading at `Part`.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from knowledge.allowed import Allowed
from knowledge.bags import Bags, Entry, Scores, Statistics
from knowledge.embedding import Vectors
from knowledge.hits import Hit
from knowledge.records import Ids, Piece, StoredChunk
from knowledge.versions import Version

Classes = frozenset[int] | None
"""Access classes that count; None for all."""


class Keywords(NamedTuple):
    """What rows are matched with."""

    terms: Sequence[str]
    classes: Classes
    statistics: Statistics
    """What is scored by: of all parts, and only of rows that may be seen."""


class Part(Protocol):
    """Some rows; `ids`, `documents` and `classes` have an item for each. Rows begin at `first`."""

    first: int
    ids: Ids
    documents: Ids
    """Ascending."""
    classes: npt.NDArray[np.int32]

    def nearest(self, vector: Vectors, k: int, allowed: Allowed | None) -> list[Hit]:
        """The k nearest of the allowed rows, best first."""
        ...

    def matching(self, words: Keywords, k: int, allowed: Allowed | None) -> list[Hit]:
        """The k best of the allowed rows by BM25, best first."""
        ...

    def scores(self, words: Keywords, rows: Ids) -> Scores:
        """BM25 of these rows."""
        ...

    def statistics(
        self, terms: Collection[str], classes: Classes, gone: Allowed | None
    ) -> Statistics:
        """Those of the rows in these classes, but for those that are gone."""
        ...

    def vectors(self, rows: Ids) -> Vectors:
        """The vectors of these rows."""
        ...

    def bags(self, rows: Ids) -> list[frozenset[int]]:
        """The terms of each of these rows, as numbers."""
        ...


class Indexed:
    """The rows of a version: found by its indexes."""

    first = 0

    def __init__(self, version: Version) -> None:
        self.version = version
        self.ids, self.documents, self.classes = version.ids, version.documents, version.classes

    def nearest(self, vector: Vectors, k: int, allowed: Allowed | None) -> list[Hit]:
        """The k nearest of the allowed rows, best first."""
        found = self.version.index.nearest(vector, k, allowed)
        return [Hit(*pair) for pair in zip(found.rows.tolist(), found.scores.tolist(), strict=True)]

    def matching(self, words: Keywords, k: int, allowed: Allowed | None) -> list[Hit]:
        """The k best of the allowed rows by BM25, best first."""
        return self.version.keywords.search(
            words.terms,
            k,
            words.classes,
            statistics=words.statistics,
            among=None if allowed is None else allowed.mask,
        )

    def scores(self, words: Keywords, rows: Ids) -> Scores:
        """BM25 of these rows."""
        return self.version.keywords.scores(words.terms, rows.tolist(), words.statistics)

    def statistics(
        self, terms: Collection[str], classes: Classes, gone: Allowed | None
    ) -> Statistics:
        """Those of the rows in these classes, but for those that are gone."""
        known = self.version.keywords.statistics(terms, classes)
        lost = _lost(self, classes, gone)
        return (
            known - self.version.keywords.statistics_of(terms, lost.tolist())
            if len(lost)
            else known
        )

    def vectors(self, rows: Ids) -> Vectors:
        """The vectors of these rows."""
        return self.version.index.vectors(rows)

    def bags(self, rows: Ids) -> list[frozenset[int]]:
        """The terms of each of these rows, as numbers."""
        return self.version.keywords.bags(rows.tolist())


class Segment:
    """Rows after the version's: each is looked at."""

    def __init__(self, first: int, piece: Piece, bags: Bags) -> None:
        self.first = first
        self.ids, self.documents, self.classes = piece.ids, piece.documents, piece.classes
        self._vectors = piece.vectors
        self._bags = bags

    @classmethod
    def of(cls, first: int, pieces: Sequence[Piece], texts: Sequence[StoredChunk]) -> "Segment":
        """The rows of these pieces, whose chunks are the texts."""
        piece = Piece(
            np.concatenate([each.ids for each in pieces]),
            np.concatenate([each.documents for each in pieces]),
            np.concatenate([each.classes for each in pieces]),
            np.concatenate([each.vectors for each in pieces]),
        )
        bags = Bags.of(
            Entry(row, int(piece.classes[row - first]), text.chunk.embedded)
            for row, text in enumerate(texts, start=first)
        )
        return cls(first, piece, bags)

    def nearest(self, vector: Vectors, k: int, allowed: Allowed | None) -> list[Hit]:
        """The k nearest of the allowed rows, best first."""
        places = np.arange(len(self.ids)) if allowed is None else allowed.rows
        scores = (self._vectors if allowed is None else self._vectors[places]) @ vector
        best = np.argpartition(-scores, k)[:k] if k < len(scores) else np.arange(len(scores))
        order = best[np.lexsort((places[best], -scores[best]))]
        return [Hit(int(places[n]) + self.first, float(scores[n])) for n in order]

    def matching(self, words: Keywords, k: int, allowed: Allowed | None) -> list[Hit]:
        """The k best of the allowed rows by BM25, best first."""
        among = None if allowed is None else allowed.mask
        return self._bags.search(list(dict.fromkeys(words.terms)), k, words.statistics, among)

    def scores(self, words: Keywords, rows: Ids) -> Scores:
        """BM25 of these rows."""
        return self._bags.scores(list(dict.fromkeys(words.terms)), rows, words.statistics)

    def statistics(
        self, terms: Collection[str], classes: Classes, gone: Allowed | None
    ) -> Statistics:
        """Those of the rows in these classes, but for those that are gone."""
        known = self._bags.statistics(terms, classes)
        lost = _lost(self, classes, gone)
        return known - self._bags.statistics_of(terms, lost + self.first) if len(lost) else known

    def vectors(self, rows: Ids) -> Vectors:
        """The vectors of these rows."""
        return self._vectors[rows - self.first]

    def bags(self, rows: Ids) -> list[frozenset[int]]:
        """The terms of each of these rows, as numbers."""
        return self._bags.bags(rows)


def _lost(part: Part, classes: Classes, gone: Allowed | None) -> Ids:
    """The places of a part's rows that are of these classes, but gone."""
    if gone is None:
        return np.empty(0, dtype=np.int64)
    if classes is None:
        return gone.rows
    return gone.rows[np.isin(part.classes[gone.rows], list(classes))]
