"""A view over lists: ranking without a disk, for tests and measurements."""

from collections.abc import Collection, Sequence
from copy import copy

import numpy as np

from knowledge.bags import Bags, Entry, Scores, Statistics
from knowledge.chunking import Chunk
from knowledge.embedding import Vectors
from knowledge.hits import Hit
from knowledge.records import StoredChunk


class ListView:
    """A `View` over chunks and their vectors; searches look at each row."""

    def __init__(self, chunks: Sequence[tuple[str, Chunk]], vectors: Vectors) -> None:
        """chunks: each with its source. vectors: theirs, shape (chunks, dimension)."""
        self._chunks = chunks
        self._vectors = vectors
        self._bags = Bags.of(Entry(n, 0, chunk.embedded) for n, (_, chunk) in enumerate(chunks))
        numbers: dict[str, int] = {}
        self._documents = [numbers.setdefault(source, len(numbers)) for source, _ in chunks]
        self._seen = np.ones(len(chunks), dtype=bool)

    @classmethod
    def of(cls, texts: Sequence[str], vectors: Vectors) -> "ListView":
        """A view in which each text is a document of its own, called by its number."""
        chunks = [(str(n), Chunk("", "", text, 0, len(text))) for n, text in enumerate(texts)]
        return cls(chunks, vectors)

    def without(self, sources: Collection[str]) -> "ListView":
        """The same as if some documents were not there."""
        other = copy(self)
        other._seen = self._seen & [source not in sources for source, _ in self._chunks]
        return other

    @property
    def count(self) -> int:
        """How many rows it has."""
        return int(self._seen.sum())

    def nearest(self, vector: Vectors, k: int) -> list[Hit]:
        """The k rows nearest to a unit vector, best first."""
        cosines = np.where(self._seen, self._vectors @ vector, -2)
        order = np.argsort(-cosines, kind="stable")[: min(k, self.count)]
        return [Hit(int(row), float(cosines[row])) for row in order]

    def matching(self, terms: Sequence[str], k: int) -> list[Hit]:
        """The k best rows by BM25, best first."""
        return self._bags.search(terms, k, self.statistics(terms), self._seen)

    def scores(self, terms: Sequence[str], rows: Sequence[int]) -> Scores:
        """BM25 of these rows."""
        return self._bags.scores(terms, rows, self.statistics(terms))

    def statistics(self, terms: Collection[str]) -> Statistics:
        """Of all rows."""
        hidden = np.flatnonzero(~self._seen)
        return self._bags.statistics(terms) - self._bags.statistics_of(terms, hidden)

    def chunks(self, rows: Sequence[int]) -> list[StoredChunk]:
        """The chunks of these rows, in their order."""
        return [StoredChunk(row, *self._chunks[row]) for row in rows]

    def documents(self, rows: Sequence[int]) -> list[int]:
        """Numbers that tell the documents of these rows apart."""
        return [self._documents[row] for row in rows]

    def bags(self, rows: Sequence[int]) -> list[frozenset[int]]:
        """The terms of each of these rows, as numbers."""
        return self._bags.bags(rows)

    def vectors(self, rows: Sequence[int]) -> Vectors:
        """The stored vectors of these rows."""
        found: Vectors = self._vectors[list(rows)]
        return found
