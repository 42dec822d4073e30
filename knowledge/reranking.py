"""Reranking: a cross-encoder reads the query with each of the best candidates, and orders anew.

Off unless a server is set. It speaks the protocol of Text Embeddings Inference (`POST /rerank`),
whose container serves the models; the engine serves none. Knows texts and scores only.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import httpx

from knowledge.records import StoredChunk
from knowledge.search import Found, Ranking
from llmasos.errors import EngineRejected, EngineUnavailable

READ_AGAIN = 20
"""Candidates that the model reads; those behind keep their order."""
TIMEOUT = httpx.Timeout(30.0, connect=3.0)


class Reranker(Protocol):
    """Scores texts for a query. Implementation: `HttpReranker`."""

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers, in [0, 1], in their order. Raises EngineError."""
        ...


class HttpReranker:
    """Scores through a server's `/rerank`; pooled connections, safe in threads."""

    def __init__(self, url: str, key: str | None = None) -> None:
        """url: the server's base address; key: its bearer key, if it asks for one."""
        self._url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(timeout=TIMEOUT, trust_env=False, headers=headers)

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers, in [0, 1], in their order. Raises EngineError."""
        body = {"query": query, "texts": list(texts), "truncate": True}
        try:
            answer = self._client.post(f"{self._url}/rerank", json=body)
        except httpx.TransportError as error:
            raise EngineUnavailable(self._url, str(error) or type(error).__name__) from error
        if answer.is_server_error:
            raise EngineUnavailable(self._url, f"HTTP {answer.status_code} from /rerank")
        if not answer.is_success:
            raise EngineRejected(f"{self._url}/rerank refused: HTTP {answer.status_code}")
        return _scores(answer, len(texts))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def reranked(
    query: str,
    ranking: Ranking,
    chunks: Callable[[list[Found]], list[StoredChunk]],
    reranker: Reranker,
) -> tuple[Ranking, Mapping[tuple[int, int], float]]:
    """The ranking with its head in the model's order, and the scores that the model gave.

    The scores of the head are dealt out anew, the highest to the best.
    """
    head, rest = ranking.found[:READ_AGAIN], ranking.found[READ_AGAIN:]
    if not head:
        return ranking, {}
    texts = [f"{each.chunk.title}\n{each.chunk.text}" for each in chunks(head)]
    given = reranker.rerank(query, texts)
    order = sorted(range(len(head)), key=lambda place: -given[place])
    dealt = [
        head[place]._replace(score=score)
        for place, score in zip(order, (each.score for each in head), strict=True)
    ]
    scores = {(each.view, each.row): score for each, score in zip(head, given, strict=True)}
    return Ranking(
        [*dealt, *rest], ranking.terms, ranking.statistics, ranking.shape, ranking.weight
    ), scores


def _scores(answer: httpx.Response, count: int) -> list[float]:
    """The server's scores by place. Raises EngineRejected for an answer that is no such thing."""
    try:
        rows: Any = answer.json()
        found = {int(row["index"]): float(row["score"]) for row in rows}
    except (ValueError, TypeError, KeyError) as error:
        raise EngineRejected("The reranking server answered with no scores.") from error
    if sorted(found) != list(range(count)):
        raise EngineRejected("The reranking server did not answer with one score a text.")
    return [found[place] for place in range(count)]
