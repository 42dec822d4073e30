"""A row that a half of the search found. Rows are numbers of one view only."""

from typing import NamedTuple


class Hit(NamedTuple):
    """A row that was found."""

    row: int
    score: float
    """Cosine from vectors; BM25 from keywords."""
