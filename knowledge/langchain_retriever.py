"""The knowledge base as a LangChain retriever, for chains that are built with LangChain."""

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, SkipValidation

from llmasos.request import LOCAL, Principal
from llmasos.retrieval import Retriever


class KnowledgeRetriever(BaseRetriever):
    """Searches collections with a principal's rights.

    Each document carries `collection`, `source`, `title`, `span` and `score` in its metadata.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retriever: SkipValidation[Retriever]
    """A `KnowledgeBase`, or any other retriever."""
    collections: tuple[str, ...]
    """What is searched."""
    principal: Principal = LOCAL
    """Whose rights count."""
    k: int = 5
    """How many documents are returned."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        passages = self.retriever.search(
            query, collections=self.collections, principal=self.principal, k=self.k
        )
        return [
            Document(page_content=each.text, metadata=each.model_dump(exclude={"text"}))
            for each in passages
        ]
