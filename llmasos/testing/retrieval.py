"""Doubles for knowledge: a retriever over a list, and an embedder without a model."""

import re
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from llmasos.errors import InvalidRequest, UnknownCollection
from llmasos.request import Principal
from llmasos.retrieval import Passage

WORD = re.compile(r"[a-z0-9]+|[^\x00-\u024f\s]")


class ListRetriever:
    """A `Retriever` over passages that a test gives; its score is the share of words in common."""

    def __init__(self, passages: Sequence[Passage] = (), collections: Sequence[str] = ()) -> None:
        """collections: names that exist beside those of the passages, empty ones."""
        self.passages = list(passages)
        self.queries: list[str] = []
        """What was searched for, in order."""
        self._collections = collections

    def search(
        self, query: str, *, collections: Sequence[str], principal: Principal, k: int = 5
    ) -> list[Passage]:
        """The k passages with the most words of the query."""
        if not query.strip():
            raise InvalidRequest("The query is empty. Ask for something.")
        if k < 1:
            raise InvalidRequest(f"k is {k}. It must be 1 or more.")
        self.queries.append(query)
        known = {*self._collections, *(each.collection for each in self.passages)}
        for name in collections:
            if name not in known:
                raise UnknownCollection(name, tuple(sorted(known)))
        found = [
            each.model_copy(update={"score": _overlap(query, f"{each.title} {each.text}")})
            for each in self.passages
            if each.collection in collections
        ]
        return sorted(found, key=lambda passage: -passage.score)[:k]


class WordTokens:
    """`Tokens` of a small model, for which each word, and each sign of Chinese, is one."""

    window = 48

    def starts(self, text: str) -> list[int]:
        """Where each word begins."""
        return [word.start() for word in WORD.finditer(text.lower())]


class HashingEmbedder:
    """An `Embedder` that needs no model: texts with words in common are near to each other."""

    def __init__(self, model: str = "hashing", dimension: int = 64) -> None:
        self.model = model
        self.tokens = WordTokens()
        self.embedded = 0
        """How many texts it has embedded."""
        self._dimension = dimension

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """One vector of length 1 for each text: each word is thrown on one of the axes."""
        self.embedded += len(texts)
        vectors = np.zeros((len(texts), self._dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in _words(text):
                vectors[row, zlib.crc32(word.encode()) % self._dimension] += 1
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def _overlap(query: str, text: str) -> float:
    asked = set(_words(query))
    return len(asked & set(_words(text))) / len(asked) if asked else 0.0
