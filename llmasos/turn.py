"""One turn: a message to answer, and all that an agent may use to answer it.

The worker builds it, the agent's flow works on it. Its parts are ports, so that an agent runs the
same under a worker and under a test. Knows nothing of queues and channels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from llmasos.agent import Agent
from llmasos.events import Status, ToolCall
from llmasos.generation import Message
from llmasos.llm import LLM
from llmasos.request import Attachment, Principal, Request
from llmasos.retrieval import Passage, Retriever
from llmasos.sandbox import Sandbox
from llmasos.tools import Tool


class ToolJournal(Protocol):
    """Remembers which tools with effects a job has called, so that none is called twice.

    Implementations: `workers.journal.DatabaseJournal`, `testing.MemoryJournal`.
    """

    def call(self, tool: Tool, arguments: dict[str, Any]) -> str:
        """Call the tool, or give the result of the same call made before a crash.

        Raises JobError when a call was begun and its outcome is not known.
        """
        ...


def _go_on() -> None:
    """Nothing stands in the way."""


@dataclass(frozen=True)
class Turn:
    """A message to answer and the means to do it."""

    agent: Agent
    request: Request
    llm: LLM
    retriever: Retriever
    sandbox: Sandbox
    journal: ToolJournal
    history: Sequence[Message] = ()
    """The conversation before this message, oldest first."""
    job_id: str = ""
    checkpoint: Callable[[], None] = field(default=_go_on)
    """Call it in long work: raises JobCancelled, DeadlineExceeded or LeaseLost."""

    @property
    def text(self) -> str:
        """The message."""
        return self.request.text

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The files that came with it."""
        return self.request.attachments

    @property
    def principal(self) -> Principal:
        """Who asks."""
        return self.request.principal

    def status(self, text: str) -> Status:
        """A word on what is being done: `yield turn.status("Searching …")`."""
        return Status(text=text)

    def retrieve(self, query: str, k: int = 5) -> list[Passage]:
        """The k passages nearest to a query, of the agent's collections, by the asker's rights."""
        if not self.agent.knowledge:
            return []
        return self.retriever.search(
            query, collections=tuple(self.agent.knowledge), principal=self.principal, k=k
        )

    def call(self, tool: Tool, **arguments: Any) -> ToolCall:
        """Call one of the agent's tools; a tool with effects at most once for a job."""
        result = self.journal.call(tool.bound(self), arguments)
        return ToolCall(name=tool.name, arguments=arguments, result=result)
