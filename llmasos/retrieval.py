"""The port to knowledge: what a passage is, and who can be asked for some.

The kernel's side of retrieval: agents ask a `Retriever`, `knowledge` fills it in.
Knows nothing of FAISS, files or embeddings.
"""

from collections.abc import Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from llmasos.request import Principal


class Explanation(BaseModel):
    """Which half of a search found a passage, and what each thinks of it."""

    model_config = ConfigDict(frozen=True)

    vector_rank: int | None
    """Its place among the nearest by meaning, from 1; null when it was not among them."""
    keyword_rank: int | None
    """Its place among the best by keywords, from 1; null when it was not among them."""
    bm25: float
    """Its score by keywords; 0 when it holds no word of the query."""
    keyword_weight: float
    """What keywords counted for this query, beside 1 for the cosine."""
    reranked: float | None = None
    """What the reranking model gave it, if one is set."""


class Passage(BaseModel):
    """A piece of a document that was found for a query."""

    model_config = ConfigDict(frozen=True)

    collection: str
    """The collection it was found in."""
    source: str
    """POSIX path of the document, ending in the file's name, with an optional `#fragment`."""
    title: str
    """The document's title and the headings above the passage, joined by ` › `."""
    url: str | None = None
    """The page that the document was fetched from; null for a file."""
    text: str
    """The passage itself, as it stands in the extracted text of the document."""
    span: tuple[int, int]
    """Where it stands: [start, end) in characters of the extracted text."""
    score: float
    """What it is ranked by, in [-1, 1]: its nearness by meaning and by words together."""
    relevance: float | None = None
    """How likely it is to answer the query, in [0, 1]; the first passage's says how likely it is
    that anything found does. Null when the retriever cannot tell."""
    similarity: float | None = None
    """Its nearness by meaning alone: the cosine, in [-1, 1]. Null when there is none."""
    explanation: Explanation | None = None
    """How it was found, when that was asked for."""

    @property
    def nearness(self) -> float:
        """How near it is by meaning, as far as that is known."""
        return self.score if self.similarity is None else self.similarity


class Retriever(Protocol):
    """Finds passages. Implementations: `knowledge.KnowledgeBase`, `testing.ListRetriever`."""

    def search(
        self, query: str, *, collections: Sequence[str], principal: Principal, k: int = 5
    ) -> list[Passage]:
        """The k passages nearest to the query that the principal may read, best first.

        Raises UnknownCollection for a collection that does not exist.
        """
        ...
