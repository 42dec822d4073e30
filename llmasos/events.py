"""What an agent emits while it works, from its first status to its final reply.

An agent yields these; the worker stores, streams and delivers them. Each is a frozen value with
a `kind`, and goes over a wire as JSON. Knows nothing of where they go.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
)

from llmasos.request import AUTO, Attachment, Queue

ASKER = "asker"
"""In a list of people: whoever sent the message."""
LARGEST_FILE = 5_000_000
"""Bytes of a file that belongs to an answer."""


def _decoded(value: Any) -> Any:
    """Bytes as they are, a text as the base64 that JSON has of them."""
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


_Bytes = Annotated[
    bytes,
    Field(max_length=LARGEST_FILE),
    BeforeValidator(_decoded, json_schema_input_type=str),
    PlainSerializer(lambda data: base64.b64encode(data).decode(), return_type=str),
]
"""Bytes; base64 in JSON."""


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Status(_Event):
    """A word on what is being done now, for people who wait."""

    kind: Literal["status"] = "status"
    text: str


class Token(_Event):
    """A piece of the answer's text, in order.

    An agent with `checked=True` shows only what it has checked: pieces without `checked`
    stay inside the worker.
    """

    kind: Literal["token"] = "token"
    text: str
    checked: bool = False


class ToolCall(_Event):
    """A tool was called."""

    kind: Literal["tool_call"] = "tool_call"
    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    result: str = ""


class Citation(_Event):
    """A source that a part of the answer rests on."""

    kind: Literal["citation"] = "citation"
    source: str
    title: str
    quote: str
    score: float
    url: str | None = None
    """The page that the source was fetched from."""


class Artifact(_Event):
    """A file that belongs to the answer: its text, its bytes, or where it is."""

    kind: Literal["artifact"] = "artifact"
    name: str
    media_type: str = "text/plain"
    text: str | None = None
    data: _Bytes | None = None
    """What is in it, where that is no text."""
    url: str | None = None

    @property
    def content(self) -> bytes | None:
        """What is in it; None: it lies elsewhere."""
        return self.data if self.text is None else self.text.encode()

    @property
    def file_name(self) -> str:
        """Its name as a file's name and nothing else."""
        last = self.name.replace("\\", "/").rpartition("/")[2]
        name = "".join(letter for letter in last if letter.isprintable())[-120:]
        return "file" if name in ("", ".", "..") else name


class Handoff(_Event):
    """The agent asks a person to take over."""

    kind: Literal["handoff"] = "handoff"
    reason: str
    to: str = "person"
    summary: str = ""
    """What was said before the message, for whoever takes over."""


class Reply(_Event):
    """The final answer."""

    kind: Literal["reply"] = "reply"
    text: str
    citations: tuple[Citation, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    confidence: float | None = Field(default=None, ge=0, le=1)
    handoff: Handoff | None = None
    alternatives: tuple[str, ...] = ()
    """Agents to offer instead, when this one found nothing and was not clearly meant."""
    blocked: dict[str, str] | None = None
    """The rule that the message broke, when it was refused: `{"rule": "injection"}`."""
    output: dict[str, Any] | None = None
    """The answer as an object, of an agent that has `output`."""

    def as_json(self) -> dict[str, Any]:
        """The reply as the job JSON shows it."""
        plain: dict[str, Any] = {
            "text": self.text,
            "citations": [
                c.model_dump(exclude={"kind"} if c.url else {"kind", "url"}) for c in self.citations
            ],
            "artifacts": [
                a.model_dump(exclude={"kind"}, exclude_none=True) for a in self.artifacts
            ],
            "confidence": self.confidence,
            "handoff": self.handoff.model_dump(exclude={"kind"}) if self.handoff else None,
        }
        if self.blocked:
            plain["blocked"] = self.blocked
        if self.output is not None:
            plain["output"] = self.output
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "Reply":
        """The reply that `as_json` made this of."""
        return cls.model_validate(plain)


class Approval(_Event):
    """A person must decide before the agent goes on.

    The job leaves its worker until somebody has; then the agent's flow runs again from the start,
    and `turn.decision(key)` has the answer.
    """

    kind: Literal["approval"] = "approval"
    question: str
    """What is asked, for a person."""
    key: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "approval"
    """Which of the job's questions this is; each needs one of its own."""
    about: Literal["question", "call", "reply"] = "question"
    """`call`: of a tool, `reply`: a finished answer; both are in the payload, ready to go."""
    payload: dict[str, Any] = Field(default_factory=dict)
    """Exactly what is decided on."""
    to: tuple[str, ...] = (ASKER,)
    """Who may decide: `asker`, principals, `team:…`, `channel:…`, `group:…`."""
    places: tuple[str, ...] = ()
    """Addresses that it is brought to besides those of the request; there it says all of what is
    decided on."""

    @classmethod
    def of_reply(
        cls, reply: Reply, to: tuple[str, ...], places: tuple[str, ...] = ()
    ) -> "Approval":
        """The question whether a finished answer may go out as it is."""
        return cls(
            key="reply",
            about="reply",
            question="The answer is written and waits until somebody approves it.",
            payload={"reply": reply.model_dump(mode="json")},
            to=to,
            places=places,
        )

    def in_full(self, asked: str, by: str) -> "Approval":
        """The same for those who decide on an answer: with what was asked, and the draft.

        asked: the message; by: who sent it.
        """
        if self.about != "reply":
            return self
        draft = Reply.model_validate(self.payload["reply"])
        titles = dict.fromkeys(f"{each.title} ({each.source})" for each in draft.citations)
        pieces = [f"**{by} asks:** {asked}", "**Draft of the answer:**", draft.text]
        if titles:
            pieces.append(f"**Sources:** {', '.join(titles)}")
        if draft.artifacts:
            pieces.append(f"**Files:** {', '.join(each.name for each in draft.artifacts)}")
        return self.model_copy(update={"question": "\n\n".join(pieces)})


class Failure(_Event):
    """The job ended without an answer; the worker emits this, never an agent."""

    kind: Literal["failure"] = "failure"
    type: str
    """The error's class name."""
    message: str
    """For a person: what failed and what happens next."""


class Part(_Event):
    """One thing that another agent should do."""

    kind: Literal["part"] = "part"
    text: str
    """The message to it."""
    agent: Annotated[str, StringConstraints(min_length=1, max_length=63)] = AUTO
    attachments: tuple[Attachment, ...] = ()
    queue: Queue | None = None
    """What it waits in; None: what the job itself waited in."""


class Delegate(_Event):
    """The agent hands parts of its work to others, and waits for all of them.

    The job leaves its worker until the last is finished; then the agent's flow runs again from the
    start, and `turn.children(key)` has what came of them.
    """

    kind: Literal["delegate"] = "delegate"
    parts: Annotated[tuple[Part, ...], Field(min_length=1)]
    key: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "parts"
    """Which of the job's delegations this is; each needs one of its own."""


@dataclass(frozen=True)
class Child:
    """A part that was delegated, and what came of it."""

    job_id: str
    agent: str
    text: str
    """The message to it."""
    reply: Reply | None = None
    error: Failure | None = None
    """Why there is no reply."""


@dataclass(frozen=True)
class Decision:
    """What a person has decided on an `Approval`."""

    granted: bool
    payload: Mapping[str, Any]
    """Exactly what was decided on: act on this, not on what the model says now."""
    by: str
    """The principal who decided."""


@dataclass(frozen=True)
class HandOver:
    """The agent leaves the answer to another one: `yield HandOver("billing")`, its last word.

    to: the other agent's name. text: what it is asked; None: the message as it came.
    """

    to: str
    text: str | None = None


class Restarted(_Event):
    """Another attempt begins: what came before is void."""

    kind: Literal["restarted"] = "restarted"


Event = Annotated[
    Status | Token | ToolCall | Citation | Artifact | Approval | Reply | Failure | Restarted,
    Field(discriminator="kind"),
]

_adapter: TypeAdapter[Event] = TypeAdapter(Event)


def dump_event(event: Event) -> str:
    """The event as one line of JSON."""
    return _adapter.dump_json(event).decode()


def parse_event(line: str | bytes) -> Event:
    """The event that `dump_event` made this line of."""
    return _adapter.validate_json(line)
