"""The view of a collection: `view.View` over the parts of a collection's contents.

A row that the principal may not read is left out by the indexes themselves, and the statistics
that rows are scored by are those of allowed rows: nothing of the rest shows anywhere.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import reduce
from heapq import nsmallest
from operator import add

import numpy as np

from knowledge.allowed import Allowed
from knowledge.bags import Scores, Statistics
from knowledge.contents import Contents
from knowledge.embedding import Vectors
from knowledge.hits import Hit
from knowledge.parts import Classes, Keywords, Part
from knowledge.records import Ids, StoredChunk
from knowledge.snapshot import Snapshot


class CollectionView:
    """One snapshot of a collection, for one principal and one filter."""

    def __init__(
        self,
        contents: Contents,
        snapshot: Snapshot,
        classes: Classes,
        allowed: Sequence[Allowed | None],
    ) -> None:
        """classes: those that the principal may read; allowed: the rows of each part."""
        self.facts = contents.facts
        self._contents = contents
        self._snapshot = snapshot
        self._classes = classes
        self._allowed = allowed
        self._statistics: dict[tuple[str, ...], Statistics] = {}

    @property
    def count(self) -> int:
        """How many rows it has."""
        return sum(
            len(part.ids) if allowed is None else allowed.count for part, allowed in self._parts()
        )

    def nearest(self, vector: Vectors, k: int) -> list[Hit]:
        """The k rows nearest to a unit vector of shape (dimension,), best first."""
        return _best(k, [part.nearest(vector, k, allowed) for part, allowed in self._parts()])

    def matching(self, terms: Sequence[str], k: int) -> list[Hit]:
        """The k best rows by BM25 that hold any of the terms, best first."""
        words = self._keywords(terms)
        return _best(k, [part.matching(words, k, allowed) for part, allowed in self._parts()])

    def scores(self, terms: Sequence[str], rows: Sequence[int]) -> Scores:
        """BM25 of these rows, as `matching` would score them, shape (rows,)."""
        words = self._keywords(terms)
        scores = np.zeros(len(rows), dtype=np.float32)
        for part, places, own in self._split(rows):
            scores[places] = part.scores(words, own)
        return scores

    def statistics(self, terms: Collection[str]) -> Statistics:
        """How many rows there are, how long, and how many hold each term.

        Of all rows that the principal may read: a filter says what is looked for, not what is rare.
        """
        key = tuple(terms)
        if key not in self._statistics:
            parts = zip(self._contents.parts, self._contents.gone, strict=True)
            found = [part.statistics(key, self._classes, gone) for part, gone in parts]
            self._statistics[key] = reduce(add, found, Statistics())
        return self._statistics[key]

    def chunks(self, rows: Sequence[int]) -> list[StoredChunk]:
        """The chunks of these rows, in their order."""
        ids = np.zeros(len(rows), dtype=np.int64)
        for part, places, own in self._split(rows):
            ids[places] = part.ids[own - part.first]
        found = self._snapshot.chunks(ids.tolist())
        return [found[each] for each in ids.tolist()]

    def documents(self, rows: Sequence[int]) -> list[int]:
        """Numbers that tell the documents of these rows apart."""
        documents = np.zeros(len(rows), dtype=np.int64)
        for part, places, own in self._split(rows):
            documents[places] = part.documents[own - part.first]
        return documents.tolist()

    def vectors(self, rows: Sequence[int]) -> Vectors:
        """The stored vectors of these rows, shape (rows, dimension)."""
        vectors = np.zeros((len(rows), self.facts.dimension), dtype=np.float32)
        for part, places, own in self._split(rows):
            vectors[places] = part.vectors(own)
        return vectors

    def bags(self, rows: Sequence[int]) -> list[frozenset[int]]:
        """The terms of each of these rows, as numbers."""
        bags: list[frozenset[int]] = [frozenset()] * len(rows)
        for part, places, own in self._split(rows):
            for place, bag in zip(places.tolist(), part.bags(own), strict=True):
                bags[place] = bag
        return bags

    def _parts(self) -> Iterable[tuple[Part, Allowed | None]]:
        return zip(self._contents.parts, self._allowed, strict=True)

    def _keywords(self, terms: Sequence[str]) -> Keywords:
        return Keywords(terms, self._classes, self.statistics(terms))

    def _split(self, rows: Sequence[int]) -> Iterable[tuple[Part, Ids, Ids]]:
        """Each part with the places of its rows in the sequence, and these rows."""
        numbers = np.asarray(rows, dtype=np.int64)
        owners = np.searchsorted(self._contents.starts, numbers, side="right") - 1
        for place in np.unique(owners).tolist():
            chosen = np.flatnonzero(owners == place)
            yield self._contents.parts[place], chosen, numbers[chosen]


def _best(k: int, found: Sequence[Sequence[Hit]]) -> list[Hit]:
    """The k best hits of all, equal ones by their row."""
    if len(found) == 1:
        return list(found[0][:k])
    return nsmallest(
        k, (hit for hits in found for hit in hits), key=lambda hit: (-hit.score, hit.row)
    )
