"""Turns: which agent takes a job, and what it may use.

Joins the catalog, the models, knowledge and the sandbox for one job at a time; `app.py` makes them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from agents.catalog import Catalog
from llmasos.agent import Agent
from llmasos.colleagues import Colleagues
from llmasos.conversations import Conversations
from llmasos.generation import Backend, Message, ModelInfo, Options, Piece, Usage
from llmasos.jobs import Job
from llmasos.llm import LLM
from llmasos.mcp import McpServers
from llmasos.retrieval import Retriever
from llmasos.sandbox import Sandbox
from llmasos.settings import GuardSettings
from llmasos.turn import Memory, ToolJournal, Turn
from llmasos.upkeep import Upkeep
from llmasos.wire import watched


class Models(Protocol):
    """The models there are, by name; None is the installation's default. It is a `pool.Fleet`."""

    def pool(self, alias: str | None = None) -> Backend:
        """Who generates. Raises UnknownModel."""
        ...

    def calls_tools(self, alias: str | None = None) -> bool:
        """Whether the model calls tools well."""
        ...


@dataclass(frozen=True)
class Equipment:
    """What every turn of a worker works with."""

    models: Models
    mcp: McpServers
    retriever: Retriever
    sandbox: Sandbox
    guards: GuardSettings
    upkeep: Upkeep | None = None


class CatalogTurns:
    """Makes turns: an `means.Turns`."""

    def __init__(self, catalog: Catalog, conversations: Conversations, means: Equipment) -> None:
        self._catalog, self._conversations, self._means = catalog, conversations, means

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
        routed = self._catalog.choose(request, memory.history, previous)
        agent = routed.agent
        turn = Turn(
            agent=agent,
            request=request,
            llm=LLM(WatchedBackend(self._means.models.pool(agent.model), checkpoint), usage=usage),
            retriever=self._means.retriever,
            sandbox=self._means.sandbox,
            journal=journal,
            history=memory.history,
            decisions=memory.decisions,
            delegated=memory.delegated,
            recollection=self._conversations.recollection(request.conversation, job.id),
            guards=self._means.guards,
            others=Colleagues(self._colleague),
            job_id=job.id,
            alternatives=routed.alternatives,
            upkeep=self._means.upkeep,
            checkpoint=checkpoint,
        )
        return self._equipped(turn, agent)

    def _colleague(self, name: str, text: str, asked_by: Turn) -> Turn:
        """The turn of another agent in the place of one that there is."""
        request = asked_by.request.model_copy(update={"agent": name, "text": text})
        agent = self._catalog.choose(request).agent
        backend = WatchedBackend(self._means.models.pool(agent.model), asked_by.checkpoint)
        llm = LLM(backend, usage=asked_by.llm.usage)
        return self._equipped(replace(asked_by, request=request, llm=llm), agent)

    def _equipped(self, turn: Turn, agent: Agent) -> Turn:
        """The turn with all that an agent of its own has: tools, and how its model works."""
        return replace(
            turn,
            agent=agent.with_changes(tools=(*agent.tools, *self._means.mcp.tools(agent.mcp))),
            llm=turn.llm.with_options(agent.options),
            calls_tools=self._means.models.calls_tools(agent.model),
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
