"""Ranking: what two halves find in views, weighed per query into one order.

Stands on `view.py`, which holds rights and filters, and below `knowledge_base.py`. Keywords need no
vector, so they are looked for while the query is being embedded. Whatever one half found is scored
by both, and half of a row's score is its document's: a page whose one part is near in meaning and
whose other part holds the words is likely the one. Knows neither disk, principals nor models. Start
reading at `Search`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from knowledge.bags import K1, Statistics
from knowledge.embedding import Vectors
from knowledge.hits import Hit
from knowledge.terms import terms
from knowledge.view import View
from knowledge.weighing import Shape, Weighing, is_english, shape

OF_DOCUMENT = 0.5
"""Part of a row's score that its document's best cosine and best share make. On the judged sets
(`weighing.py`) every value from 0.25 to 1 does better than none, by 0.001 to 0.004 nDCG@10."""


class Found(NamedTuple):
    """A row that was found, with what both halves think of it."""

    view: int
    """Number of the view that it is in."""
    row: int
    score: float
    """What it is ranked by, in [-1, 1]."""
    cosine: float
    keywords: float
    """BM25."""
    share: float
    """BM25 as a part of the best row's."""
    vector_rank: int | None
    """Its place among the nearest vectors, from 1; None when it was not among them."""
    keyword_rank: int | None
    """Its place among the rows by keywords, from 1; None when it was not among them."""


@dataclass(frozen=True)
class Ranking:
    """The rows found for a query, best first, and what the query looked like."""

    found: list[Found]
    terms: list[str]
    statistics: Statistics
    """Of all views together."""
    shape: Shape
    weight: float
    """What keywords count beside cosines."""


class Search:
    """One search for one query, over the views of one or several collections."""

    def __init__(
        self,
        query: str,
        views: Sequence[View],
        weighing: Weighing,
        candidates: int,
        *,
        reads_only_english: bool = True,
    ) -> None:
        """candidates: how many rows each half names.

        reads_only_english: whether the embedding model is lost in other languages.
        """
        self._views = views
        self._weighing = weighing
        self._most = candidates
        self._foreign = reads_only_english and not is_english(query)
        self.terms = list(dict.fromkeys(terms(query)))
        self._statistics = [view.statistics(self.terms) for view in views]
        self._matching = [view.matching(self.terms, candidates) for view in views]

    def rank(self, vector: Vectors) -> Ranking:
        """Everything that was found, best first. vector: the query's, shape (dimension,)."""
        ideals = [_ideal(self.terms, known) for known in self._statistics]
        known = sum(self._statistics, Statistics())
        scores = sorted((hit.score for hits in self._matching for hit in hits), reverse=True)
        found_shape = shape(scores, max(ideals, default=0.0), foreign=self._foreign)
        weight = self._weighing.weight(found_shape)
        found = [
            each
            for number, (view, matching) in enumerate(zip(self._views, self._matching, strict=True))
            for each in _scored(
                number,
                self._candidates(view, vector, matching),
                weight,
                scores[0] if scores else 0.0,
            )
        ]
        found.sort(key=lambda each: (-each.score, each.view, each.row))
        return Ranking(found, self.terms, known, found_shape, weight)

    def _candidates(self, view: View, vector: Vectors, matching: list[Hit]) -> "_Candidates":
        """The rows that either half names, scored by both."""
        near = view.nearest(vector, self._most)
        cosines = {hit.row: hit.score for hit in near}
        keywords = {hit.row: hit.score for hit in matching}
        unseen = [row for row in keywords if row not in cosines]
        if unseen:
            cosines |= zip(unseen, (view.vectors(unseen) @ vector).tolist(), strict=True)
        unmatched = [hit.row for hit in near if hit.row not in keywords]
        if unmatched and self.terms:
            keywords |= zip(unmatched, view.scores(self.terms, unmatched).tolist(), strict=True)
        rows = list(cosines)
        return _Candidates(
            rows,
            np.array([cosines[row] for row in rows], dtype=np.float32),
            np.array([keywords.get(row, 0.0) for row in rows], dtype=np.float32),
            np.array(view.documents(rows), dtype=np.int64),
            {hit.row: place for place, hit in enumerate(near, start=1)},
            {hit.row: place for place, hit in enumerate(matching, start=1)},
        )


class _Candidates(NamedTuple):
    """What both halves know of the rows of one view; arrays of equal length."""

    rows: list[int]
    cosines: npt.NDArray[np.float32]
    keywords: npt.NDArray[np.float32]
    documents: npt.NDArray[np.int64]
    vector_ranks: dict[int, int]
    keyword_ranks: dict[int, int]


def _scored(number: int, part: _Candidates, weight: float, best: float) -> list[Found]:
    """The rows of one view with their scores in [-1, 1]: a cosine and a share, weighed."""
    shares = part.keywords / best if best else np.zeros_like(part.keywords)
    own = part.cosines + weight * shares
    documents = _best_of(part.cosines, part.documents) + weight * _best_of(shares, part.documents)
    mixed = (1 - OF_DOCUMENT) * own + OF_DOCUMENT * documents
    scores = np.clip(mixed / (1 + weight), -1, 1)
    columns = [each.tolist() for each in (scores, part.cosines, part.keywords, shares)]
    near = map(part.vector_ranks.get, part.rows)
    matching = map(part.keyword_ranks.get, part.rows)
    numbers = repeat(number, len(part.rows))
    return list(map(Found._make, zip(numbers, part.rows, *columns, near, matching, strict=True)))


def _best_of(
    values: npt.NDArray[np.float32], documents: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """For each row the highest value of a row of its document."""
    _, place = np.unique(documents, return_inverse=True)
    best = np.full(len(values), -np.inf, dtype=np.float32)
    np.maximum.at(best, place, values)
    return best[place]


def _ideal(terms: list[str], known: Statistics) -> float:
    """BM25 of a row that holds every term often."""
    return (K1 + 1) * sum(known.weight(term) for term in terms)
