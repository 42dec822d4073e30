"""Turns: which agent takes a job, and what it may use.

Joins the catalog, the models, knowledge and the sandbox for one job at a time; `app.py` makes them.
"""

from collections.abc import Callable, Iterator, Sequence

from agents.catalog import Catalog
from llmasos.conversations import Conversations
from llmasos.generation import Backend, Message, ModelInfo, Options, Piece, Usage
from llmasos.jobs import Job
from llmasos.llm import LLM
from llmasos.retrieval import Retriever
from llmasos.sandbox import Sandbox
from llmasos.turn import Memory, ToolJournal, Turn
from llmasos.wire import watched


class CatalogTurns:
    """Makes turns: an `attempt.Turns`.

    backend: gives the backend of a model by its name; None is the installation's default.
    """

    def __init__(
        self,
        catalog: Catalog,
        conversations: Conversations,
        backend: Callable[[str | None], Backend],
        retriever: Retriever,
        sandbox: Sandbox,
    ) -> None:
        self._catalog, self._conversations = catalog, conversations
        self._retriever, self._sandbox = retriever, sandbox
        self._backend = backend

    def begin(
        self,
        job: Job,
        memory: Memory,
        journal: ToolJournal,
        checkpoint: Callable[[], None],
        usage: Usage,
    ) -> Turn:
        """The turn for a job. usage: where the tokens of its calls are counted.

        Raises UnknownAgent, NotAllowed or UnknownModel.
        """
        # Once the router has chosen, another run of the job is by the same agent.
        request = job.request.model_copy(update={"agent": job.agent})
        previous = self._conversations.last_agent(request.conversation, job.id)
        agent = self._catalog.choose(request, memory.history, previous)
        watched = WatchedBackend(self._backend(agent.model), checkpoint)
        return Turn(
            agent=agent,
            request=request,
            llm=LLM(watched, agent.options, usage),
            retriever=self._retriever,
            sandbox=self._sandbox,
            journal=journal,
            history=memory.history,
            decisions=memory.decisions,
            delegated=memory.delegated,
            job_id=job.id,
            checkpoint=checkpoint,
        )


class WatchedBackend:
    """A backend whose generations stop as soon as the job must: a `generation.Backend`.

    checkpoint: asked at every piece; what it raises ends the generation, at the server too.
    """

    def __init__(self, backend: Backend, checkpoint: Callable[[], None]) -> None:
        self._backend, self._checkpoint = backend, checkpoint

    def generate(self, prompt: str, options: Options) -> Iterator[Piece]:
        """Go on from a raw prompt."""
        return self._watched(self._backend.generate(prompt, options))

    def chat(self, messages: Sequence[Message], options: Options) -> Iterator[Piece]:
        """Answer the last message."""
        return self._watched(self._backend.chat(messages, options))

    def count_tokens(self, text: str) -> int:
        """The number of tokens that a text has for this model."""
        self._checkpoint()
        return self._backend.count_tokens(text)

    def info(self) -> ModelInfo:
        """The model that is served and its limits."""
        return self._backend.info()

    def _watched(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        try:
            self._checkpoint()
            while True:
                with watched(self._checkpoint):  # a job that must stop waits for no first token
                    piece = next(pieces, None)
                if piece is None:
                    return
                self._checkpoint()
                yield piece
        finally:
            close = getattr(pieces, "close", None)
            if close:
                close()
