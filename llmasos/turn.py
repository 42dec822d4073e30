"""One turn: a message to answer, and all that an agent may use to answer it.

The worker builds it, the agent's flow works on it. Its parts are ports, so that an agent runs the
same under a worker and under a test. Knows nothing of queues and channels.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic_core import to_json

from llmasos.agent import Agent, Emitted
from llmasos.errors import NotApproved, UnknownAgent
from llmasos.events import Approval, Child, Decision, Delegate, Reply, Status, ToolCall
from llmasos.generation import Message
from llmasos.llm import LLM
from llmasos.memory import NoRecollection, Recollection
from llmasos.meter import Meter
from llmasos.request import Attachment, Principal, Request
from llmasos.retrieval import Passage, Retriever
from llmasos.sandbox import Sandbox
from llmasos.settings import GuardSettings
from llmasos.tools import Tool
from llmasos.upkeep import Upkeep


class ToolJournal(Protocol):
    """Remembers which tools with effects a job has called, so that none is called twice.

    Implementations: `workers.journal.DatabaseJournal`, `testing.MemoryJournal`.
    """

    def call(self, tool: Tool, arguments: dict[str, Any]) -> str:
        """Call the tool, or give the result of the same call made before a crash.

        Raises JobError when a call was begun and its outcome is not known.
        """
        ...


@dataclass(frozen=True)
class Memory:
    """What is known from before this run."""

    history: Sequence[Message] = ()
    """The conversation before this message, oldest first."""
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    """What people have decided in this job, by the approval's key."""
    delegated: Mapping[str, Sequence[Child]] = field(default_factory=dict)
    """What came of the parts that were handed to others, by the delegation's key."""


class Suspended(BaseException):
    """The flow cannot go on before others have done their part; the worker runs it again then.

    No `Exception`, so that no flow's `except Exception` takes it for a failure.
    """

    def __init__(self, wait: Approval | Delegate) -> None:
        super().__init__(wait)
        self.wait = wait


class Others(Protocol):
    """The other agents, as far as whoever asks may use them. It is a `colleagues.Colleagues`."""

    def ask(self, name: str, text: str, turn: "Turn") -> Reply:
        """Another agent's reply to a text."""
        ...

    def emissions(self, name: str, text: str, turn: "Turn") -> Iterator[Emitted]:
        """What another agent yields for a text."""
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
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    """What people have decided in this job, by the approval's key."""
    delegated: Mapping[str, Sequence[Child]] = field(default_factory=dict)
    """What came of the parts that were handed to others, by the delegation's key."""
    recollection: Recollection = field(default_factory=NoRecollection)
    """The summary of what was said before the history."""
    job_id: str = ""
    guards: GuardSettings = field(default_factory=GuardSettings)
    """What is checked before the agent works."""
    calls_tools: bool = False
    """Whether its model calls tools well."""
    others: Others | None = None
    """The other agents: see `ask`."""
    trail: tuple[str, ...] = ()
    """The agents that led to this one, the first first."""
    meter: Meter | None = None
    """What this run may use, once it has begun."""
    alternatives: tuple[str, ...] = ()
    """Agents that may be meant instead: nothing in the message said clearly which."""
    upkeep: Upkeep | None = None
    """Who keeps collections as their sources are; None: nobody here."""
    checkpoint: Callable[[], None] = field(default=_go_on)
    """Call it in long work: raises JobCancelled, DeadlineExceeded or LeaseLost."""

    @property
    def text(self) -> str:
        """The message."""
        return self.request.text

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The files that came with it, as far as they could be read."""
        return tuple(each for each in self.request.attachments if not each.unread)

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

    def decision(self, key: str) -> Decision | None:
        """What was decided on the `Approval` with this key; None: it was not asked yet."""
        return self.decisions.get(key)

    def children(self, key: str = "parts") -> Sequence[Child] | None:
        """What came of the parts of the `Delegate` with this key; None: there was none."""
        return self.delegated.get(key)

    def call(self, tool: Tool, **arguments: Any) -> ToolCall:
        """Call one of the agent's tools; a tool with effects at most once for a job.

        A tool with `approvers` is called once they grant it, with the arguments that they saw; the
        flow ends here until then, and is run again.
        Raises NotApproved when they do not grant it, InvalidRequest, ToolFailed, LimitExceeded or
        EffectUnknown.
        """
        if self.meter:
            self.meter.count("tool_calls")
        if tool.approvers:
            arguments = self._granted(tool, arguments)
        result = self.journal.call(tool.bound(self), arguments)
        return ToolCall(name=tool.name, arguments=arguments, result=result)

    def approved_call(self, tool: Tool) -> Mapping[str, Any] | None:
        """The arguments of a call of this tool that was asked for in an earlier run, if any."""
        decision = self.decision(_key_of(tool))
        return decision.payload["arguments"] if decision else None

    def _granted(self, tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that were granted. Raises Suspended or NotApproved."""
        decision = self.decision(_key_of(tool))
        if decision is None:
            tool.checked(arguments)  # what does not fit is refused before anyone is asked
            plain = json.loads(to_json(dict(arguments), fallback=str))
            said = ", ".join(f"{name}={value!r}" for name, value in plain.items())
            raise Suspended(
                Approval(
                    key=_key_of(tool),
                    about="call",
                    question=f"May I call {tool.name}({said})?",
                    payload={"tool": tool.name, "arguments": plain},
                    to=tool.approvers,
                )
            )
        if not decision.granted:
            raise NotApproved(f"The call of '{tool.name}'", "it was declined")
        return dict(decision.payload["arguments"])

    def ask(self, name: str, text: str) -> Reply:
        """Another agent's reply to a text, with the rights of the person who asks.

        Raises UnknownAgent, NotAllowed, AgentsInCircle or EmptyReply.
        """
        return self._others(name).ask(name, text, self)

    def hand_over(self, name: str, text: str | None = None) -> Iterator[Emitted]:
        """What another agent yields for the message, or for another text. `yield HandOver(name)`
        does this, and ends the flow. Raises as `ask` does.
        """
        return self._others(name).emissions(name, self.text if text is None else text, self)

    def _others(self, name: str) -> Others:
        if self.others is None:
            raise UnknownAgent(name)
        return self.others


def _key_of(tool: Tool) -> str:
    return f"call:{tool.name}"
