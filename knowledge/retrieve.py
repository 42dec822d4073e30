"""From a query to passages: search the views, rerank, assemble, and say how relevant they are.

What `knowledge_base.py` does once it has views; everything here is the same for one collection and
for several. Knows neither disk nor principals. Start reading at `retrieve`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self, TypeVar
from urllib.parse import urlsplit

from knowledge.calibration import DEFAULT, Calibration, below
from knowledge.embedding import Vectors
from knowledge.passages import Assembly, Piece, worth_reading
from knowledge.records import StoredChunk
from knowledge.relevance import READ, signs
from knowledge.reranking import HttpReranker, Reranker, reranked
from knowledge.search import Found, Ranking, Search
from knowledge.view import View
from knowledge.weighing import Weighing
from llmasos.language.questions import Question
from llmasos.retrieval import Explanation, Passage
from llmasos.settings import Settings

T = TypeVar("T")
CANDIDATES = 50
"""Rows that each half of the search names at least."""
DEEPER = (1, 4, 16)
"""How many times as many candidates are asked for, as long as there are too few passages in them.
What is left after the last says the same as what is there."""
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

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As an installation's settings have it."""
        url, key = settings.knowledge.reranker_url, settings.knowledge.reranker_api_key
        return cls(
            reads_only_english=not settings.embedding.multilingual,
            reranker=HttpReranker(url, key.get_secret_value() if key else None) if url else None,
        )


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
    tuning, places, question = tuning or Tuning(), list(views.values()), Question.of(query)
    for deeper in DEEPER:
        search = Search(
            query,
            places,
            tuning.weighing,
            deeper * max(CANDIDATES, 2 * k + SPARE),
            reads_only_english=tuning.reads_only_english,
        )
        ranking, again = search.rank(vector()), None
        if tuning.reranker is not None:
            ranking, again = reranked(
                query, ranking, lambda found: _of(found, places, _chunks_of), tuning.reranker
            )
        pieces = _pieces(ranking.found, places, k)
        if len(pieces) == k or len(ranking.found) == sum(view.count for view in places):
            break
    names = list(views)
    passages = [_passage(names[each.found.view], each, ranking, again) for each in pieces]
    found = signs(question, [each.score for each in ranking.found], passages[:READ])
    top = tuning.calibration.relevance(found) if passages else 0.0
    return [
        each.model_copy(update={"relevance": round(below(top, passages[0].score, each.score), 4)})
        for each in passages
    ]


def _pieces(found: list[Found], views: list[View], k: int) -> list[Piece]:
    """The k best passages of ranked rows; of these only those are read that may be part of one."""
    assembly = Assembly(k)
    done = 2 * k + SPARE
    some = worth_reading(found[:done], k + SPARE)
    while some:
        assembly.take(some, _of(some, views, _chunks_of), _of(some, views, _bags_of))
        some = [] if assembly.complete else found[done : 2 * done]
        done *= 2
    return assembly.pieces


def _chunks_of(view: View, rows: list[int]) -> list[StoredChunk]:
    return view.chunks(rows)


def _bags_of(view: View, rows: list[int]) -> list[frozenset[int]]:
    return view.bags(rows)


def _of(
    found: list[Found], views: list[View], asked: Callable[[View, list[int]], list[T]]
) -> list[T]:
    """What the views say of rows, in their order; each view is asked once."""
    answers: dict[tuple[int, int], T] = {}
    for number, view in enumerate(views):
        rows = [each.row for each in found if each.view == number]
        answers |= zip(((number, row) for row in rows), asked(view, rows), strict=True)
    return [answers[each.view, each.row] for each in found]


def _passage(
    collection: str, piece: Piece, ranking: Ranking, again: Mapping[tuple[int, int], float] | None
) -> Passage:
    chunk, found = piece.chunk, piece.found
    anchor = chunk.chunk.anchor
    return Passage(
        collection=collection,
        source=f"{chunk.source}#{anchor}" if anchor else chunk.source,
        title=chunk.chunk.title,
        url=_page(chunk.origin),
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


def _page(origin: str) -> str | None:
    """The page that a document was read from, if it may be shown: it bears no secret."""
    parts = urlsplit(origin)
    open_to_see = parts.scheme in ("http", "https") and not (parts.query or "@" in parts.netloc)
    return origin if open_to_see else None
