"""From a query to passages: search the views, rerank, assemble, and say how relevant they are.

What `knowledge_base.py` does once it has views; everything here is the same for one collection and
for several. Knows neither disk nor principals. Start reading at `retrieve`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from knowledge.calibration import DEFAULT, Calibration, below
from knowledge.embedding import Vectors
from knowledge.passages import Piece, assemble
from knowledge.records import StoredChunk
from knowledge.relevance import READ, signs
from knowledge.reranking import Reranker, reranked
from knowledge.search import Found, Ranking, Search
from knowledge.view import View
from knowledge.weighing import Weighing
from llmasos.retrieval import Explanation, Passage

SPARE = 5
"""Rows beyond those asked for that are read, since some are joined or said already."""


@dataclass(frozen=True)
class Tuning:
    """How passages are found and judged."""

    weighing: Weighing = field(default_factory=Weighing)
    calibration: Calibration = DEFAULT
    reads_only_english: bool = True
    """Whether the embedding model is lost in other languages."""
    reranker: Reranker | None = None
    """Reads the best candidates again, if there is one."""


def retrieve(
    query: str,
    views: Mapping[str, View],
    vector: Callable[[], Vectors],
    k: int,
    tuning: Tuning | None = None,
) -> list[Passage]:
    """The k best passages of these collections, best first.

    views: by the collection's name. vector: gives the query's, shape (dimension,); it is asked
    after the search by keywords, so that it can be computed meanwhile. Raises EngineError when a
    reranker is set and fails.
    """
    tuning = tuning or Tuning()
    names = list(views)
    search = Search(
        query, list(views.values()), tuning.weighing, reads_only_english=tuning.reads_only_english
    )
    ranking = search.rank(vector())
    again = None
    if tuning.reranker is not None:
        ranking, again = reranked(
            query, ranking, lambda found: _chunks(found, list(views.values())), tuning.reranker
        )
    best = ranking.found[: 2 * k + SPARE]
    pieces = assemble(best, _chunks(best, list(views.values())), k)
    passages = [_passage(names[each.found.view], each, ranking, again) for each in pieces]
    found = signs(query, [each.score for each in ranking.found], passages[:READ])
    top = tuning.calibration.relevance(found) if passages else 0.0
    return [
        each.model_copy(update={"relevance": round(below(top, passages[0].score, each.score), 4)})
        for each in passages
    ]


def _chunks(found: list[Found], views: list[View]) -> list[StoredChunk]:
    """The chunks of rows, in their order; each view is asked once."""
    chunks: dict[tuple[int, int], StoredChunk] = {}
    for number, view in enumerate(views):
        rows = [each.row for each in found if each.view == number]
        chunks |= zip(((number, row) for row in rows), view.chunks(rows), strict=True)
    return [chunks[each.view, each.row] for each in found]


def _passage(
    collection: str, piece: Piece, ranking: Ranking, again: Mapping[tuple[int, int], float] | None
) -> Passage:
    chunk, found = piece.chunk, piece.found
    anchor = chunk.chunk.anchor
    return Passage(
        collection=collection,
        source=f"{chunk.source}#{anchor}" if anchor else chunk.source,
        title=chunk.chunk.title,
        text=piece.text,
        span=(piece.start, piece.end),
        score=found.score,
        similarity=max(-1.0, min(1.0, found.cosine)),
        explanation=Explanation(
            vector_rank=found.vector_rank,
            keyword_rank=found.keyword_rank,
            bm25=found.keywords,
            keyword_weight=ranking.weight,
            reranked=again.get((found.view, found.row)) if again else None,
        ),
    )
