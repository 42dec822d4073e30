"""What comes in: who asks, what, of which agent, and where the answer goes.

Integrations translate their own form into a `Request` and hand it to `jobs.submit`.
Knows nothing of Slack, HTTP or the database.
"""

import hashlib
from collections.abc import Collection
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from llmasos.generation import Message

AUTO = "auto"
"""The agent name that means: let the router choose."""
ADMIN = "admin"
"""The scope that covers all others."""


class Queue(StrEnum):
    """What a job waits in, the most urgent first."""

    INTERACTIVE = "interactive"
    """Somebody waits for the answer."""
    BATCH = "batch"
    """It has time."""

    @property
    def up_to_here(self) -> tuple["Queue", ...]:
        """The queues that are more urgent than this one, and this one, in order."""
        order = tuple(Queue)
        return order[: order.index(self) + 1]


class Principal(BaseModel):
    """Who asks. Rights are decided by this and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """`local`, `slack:T1:U1`, `key:NAME` or `webhook:NAME`."""
    name: str = ""
    """What to call them."""
    team: str | None = None
    """The Slack workspace they are a member of."""
    channel: str | None = None
    """The Slack channel they ask in."""
    groups: tuple[str, ...] = ()
    """The groups they are in."""
    member: bool = True
    """False for a guest from another organisation (Slack Connect)."""
    scopes: tuple[str, ...] = ()
    """What their API key may be used for. Of what a request names, only those count that the
    caller has."""

    def among(self, people: Collection[str]) -> bool:
        """Whether a list of principals, `team:…`, `channel:…`, `group:…`, `scope:…` names them.

        A guest from another organisation must be named as such.
        """
        if self.id in people:
            return True
        ways = {f"team:{self.team}", f"channel:{self.channel}"}
        ways |= {f"group:{group}" for group in self.groups}
        ways |= {f"scope:{scope}" for scope in self.scopes}
        if ADMIN in self.scopes:
            ways |= {each for each in people if each.startswith("scope:")}
        return self.member and not ways.isdisjoint(people)


LOCAL = Principal(id="local", name="local", scopes=(ADMIN,))
"""Whoever uses this machine."""


def conversation_of(principal: Principal, name: str) -> str:
    """The conversation that a principal calls by a name of its own choice: never another's."""
    owner = hashlib.sha256(principal.id.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"own:{owner}:{name}"


class Attachment(BaseModel):
    """A file that came with the message, as text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    media_type: str = "text/plain"
    text: str = ""
    unread: str = ""
    """Why its text could not be read; empty: it could."""


class Request(BaseModel):
    """One message to an agent: the only thing that `jobs.submit` takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent: str = AUTO
    """An agent's name, or `auto` for the router."""
    text: str
    attachments: tuple[Attachment, ...] = ()
    principal: Principal = LOCAL
    owner: str | None = None
    """Who may see and stop the job, where that is not the principal: a key that acts for others."""
    conversation: str | None = None
    """Jobs of one conversation share its history and run one after another."""
    history: tuple[Message, ...] = ()
    """What was said before, where the source keeps the conversation itself and names none here."""
    order: float | None = None
    """The source's own timestamp in seconds: the order within a conversation. None: now."""
    reply_to: tuple[str, ...] = ()
    """Addresses `SCHEME:PLACE` that the answer is brought to by the scheme's channel."""
    idempotency_key: str | None = None
    """Unique for all time: a second request with it and the same content is the same job."""
    queue: Queue = Queue.INTERACTIVE
    """What it waits in."""
    metadata: dict[str, Any] = Field(default_factory=dict)
    """Anything the source wants to find again; agents do not see it."""
