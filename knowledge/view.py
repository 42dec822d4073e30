"""What one principal may see of one collection at one moment: the port between disk and ranking.

`collection.py` makes views from a version's files, the rows after it and the rights; `search.py`
ranks what they give. A row that the principal may not read is in no answer, no count and no score
of a view, so nothing behind it needs to know of rights. Rows are numbers of one view only.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from knowledge.bags import Scores, Statistics
from knowledge.embedding import Vectors
from knowledge.hits import Hit
from knowledge.records import StoredChunk


class View(Protocol):
    """One snapshot, for one principal and one filter of metadata; cheap to make and to drop."""

    @property
    def count(self) -> int:
        """How many rows it has."""
        ...

    def nearest(self, vector: Vectors, k: int) -> list[Hit]:
        """The k rows nearest to a unit vector of shape (dimension,), best first.

        Fewer only when the view has fewer.
        """
        ...

    def matching(self, terms: Sequence[str], k: int) -> list[Hit]:
        """The k best rows by BM25 that hold any of the terms, best first.

        terms: as `terms.terms` makes them of a query.
        """
        ...

    def scores(self, terms: Sequence[str], rows: Sequence[int]) -> Scores:
        """BM25 of these rows, as `matching` would score them, shape (rows,)."""
        ...

    def statistics(self, terms: Collection[str]) -> Statistics:
        """How many rows there are, how long, and how many hold each term: what makes it rare."""
        ...

    def chunks(self, rows: Sequence[int]) -> list[StoredChunk]:
        """The chunks of these rows, in their order."""
        ...

    def documents(self, rows: Sequence[int]) -> list[int]:
        """Numbers that tell the documents of these rows apart."""
        ...

    def vectors(self, rows: Sequence[int]) -> Vectors:
        """The stored vectors of these rows, shape (rows, dimension)."""
        ...

    def bags(self, rows: Sequence[int]) -> list[frozenset[int]]:
        """The terms of each of these rows, as numbers: what tells whether two say the same."""
        ...
