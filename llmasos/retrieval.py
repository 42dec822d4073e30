"""The port to knowledge: what a passage is, and who can be asked for some.

The kernel's side of retrieval: agents ask a `Retriever`, `knowledge` fills it in.
Knows nothing of FAISS, files or embeddings.
"""

from collections.abc import Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from llmasos.request import Principal


class Passage(BaseModel):
    """A piece of a document that was found for a query."""

    model_config = ConfigDict(frozen=True)

    collection: str
    """The collection it was found in."""
    source: str
    """POSIX path of the document, ending in the file's name, with an optional `#fragment`."""
    title: str
    """The document's title and the headings above the passage, joined by ` › `."""
    text: str
    """The passage itself, as it stands in the extracted text of the document."""
    span: tuple[int, int]
    """Where it stands: [start, end) in characters of the extracted text."""
    score: float
    """How near it is to the query: cosine similarity in [-1, 1]."""


class Retriever(Protocol):
    """Finds passages. Implementations: `knowledge.KnowledgeBase`, `testing.ListRetriever`."""

    def search(
        self, query: str, *, collections: Sequence[str], principal: Principal, k: int = 5
    ) -> list[Passage]:
        """The k passages nearest to the query that the principal may read, best first.

        Raises UnknownCollection for a collection that does not exist.
        """
        ...
