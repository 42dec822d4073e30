"""Shapes: what answers look like, for the API's description. Jobs make their own JSON.

A test holds that description and answers agree.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from llmasos.generation import Usage
from llmasos.jobs import JobStatus


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class CitationShape(_Shape):
    """A source that a part of the answer rests on."""

    source: str
    title: str
    quote: str
    score: float


class ArtifactShape(_Shape):
    """A file that belongs to the answer: `text`, `data` in base64, or where it is, `url`."""

    name: str
    media_type: str
    text: str = ""
    data: str = ""
    url: str = ""


class HandoffShape(_Shape):
    """A person should take over."""

    reason: str
    to: str
    summary: str


class ReplyShape(_Shape):
    """The final answer."""

    text: str
    citations: list[CitationShape]
    artifacts: list[ArtifactShape]
    confidence: float | None = Field(ge=0, le=1)
    handoff: HandoffShape | None
    blocked: dict[str, str] = {}


class FailureShape(_Shape):
    """Why there is no answer."""

    type: str
    message: str


class DeliveryShape(_Shape):
    """How far the answer has come to one of its addresses."""

    address: str
    state: str
    error: str | None


class ApprovalShape(_Shape):
    """What a person must decide before the job goes on."""

    question: str
    key: str
    about: str
    payload: dict[str, Any]
    to: list[str]
    places: list[str]
    """Where it is brought besides the request's own addresses."""
    expires_at: str


class JobShape(_Shape):
    """A job."""

    id: str
    parent: str | None
    """The job that it is a part of."""
    agent: str
    status: JobStatus
    attempts: int
    created_at: str
    started_at: str | None
    finished_at: str | None
    waiting_for: str | None
    """What holds it up, in words."""
    approval: ApprovalShape | None
    reply: ReplyShape | None
    error: FailureShape | None
    usage: Usage
    deliveries: list[DeliveryShape]


class JobsShape(_Shape):
    """A page of jobs."""

    jobs: list[JobShape]
    next: str | None
    """The cursor of the next page; null: this is the last."""


class SkippedShape(_Shape):
    """A delivery that made no job, since the webhook's `when` is false for it."""

    skipped: Literal[True]
    reason: str


class AgentShape(_Shape):
    """An agent that the caller may use."""

    name: str
    description: str
    knowledge: list[str]
    tools: list[str]
    examples: list[str]


class AgentsShape(_Shape):
    """The agents that the caller may use."""

    agents: list[AgentShape]


class PassagesShape(_Shape):
    """The passages that were found, best first."""

    passages: list[dict[str, Any]]


class ChatShape(BaseModel):
    """An answer in OpenAI's form; `citations` in its message are ours."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: dict[str, int]


class ModelShape(_Shape):
    """An agent as a model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelsShape(_Shape):
    """The agents as models."""

    object: Literal["list"]
    data: list[ModelShape]


JOB: dict[str, Any] = {"model": JobShape}
"""An answer that is a job."""
_EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["data"],
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
}
EVENTS: dict[str, Any] = {"content": {"text/event-stream": {"schema": _EVENT}}}
"""An answer that is a stream of events; the schema is that of each."""
