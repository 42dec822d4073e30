"""The port to a place where people read answers: Slack, a URL, and whatever a plug-in adds.

A `Channel` is found by the scheme of an address (`slack:C0123`). It opens a `Post`: one turn's
message at one address, which is brought up to date while the agent works and finished with the
reply. A post is a state to reach, not a list of things to send, so that another worker can take it
over. Knows nothing of any vendor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from llmasos.events import Approval, Failure, Reply
from llmasos.generation import Message
from llmasos.request import Request

Outcome = Approval | Reply | Failure
"""What an attempt at a job comes to: a question that it waits for, or its end."""
Earlier = tuple[float, Message]
"""When something was said, in seconds since the epoch, and what."""


@dataclass(frozen=True)
class Turnover:
    """What a channel needs to know of the job whose answer it shows."""

    job_id: str
    agent: str
    request: Request
    asked_at: float
    """When the job was stored, in seconds since the epoch."""


@dataclass(frozen=True)
class Draft:
    """What should be seen at the moment: a status line, and the answer as far as it goes."""

    status: str = ""
    text: str = ""


@dataclass(frozen=True)
class Posted:
    """One message of ours at an address: a row that outlives the worker."""

    part: int
    """0 for the first; a longer answer has more."""
    state: Literal["posting", "open", "closed"]
    """`posting`: about to be created, perhaps created; `open`: there, may change; `closed`."""
    external_id: str | None
    """The place's own name of it (Slack's `ts`); None while posting."""
    streaming: bool
    """Whether it is a native stream that must be stopped before it is updated."""
    attempt: int
    """The job's attempt that wrote this row."""
    begun_at: float
    """When `posting` was committed, in seconds since the epoch."""


class Journal(Protocol):
    """What was posted for one job at one address. Every write is fenced by the job's attempt.

    Each method raises LeaseLost when another worker has taken the job over.
    Implementations: `workers.journal.PostJournal`, `testing.MemoryPostJournal`.
    """

    def rows(self) -> Sequence[Posted]:
        """All messages of this job at this address, by part."""
        ...

    def begin(self, part: int, *, streaming: bool) -> None:
        """Commit that a message is about to be created."""
        ...

    def opened(self, part: int, external_id: str, *, streaming: bool) -> None:
        """Commit the place's name of it."""
        ...

    def dropped(self, part: int) -> None:
        """Commit that it was surely not created."""
        ...

    def closed(self, part: int) -> None:
        """Commit that it has its last content."""
        ...

    def known(self, external_ids: Sequence[str]) -> set[str]:
        """Which of these messages any job's row at this address knows."""
        ...

    def check(self) -> None:
        """Nothing but the fence: call it right before each call to the outside."""
        ...


class Post(Protocol):
    """One turn's message at one address. Its methods are called by one thread."""

    interval: float
    """Least number of seconds between two calls of `show`."""

    def show(self, draft: Draft) -> None:
        """Bring what is seen up to the draft. Losing one of these calls must not matter."""
        ...

    def finish(self, outcome: Outcome) -> None:
        """Bring the final content; returns when it is there. May be called again by another worker.

        An `Approval` is final only until it is decided: the post stays open, for what comes then.
        A place that has no means to decide shows `how_to_decide`. The payload of one about a reply
        is for those who may decide, and nobody else.
        Raises ChannelRefused (for good) or ChannelUnavailable (try again later).
        """
        ...


def how_to_decide(job_id: str) -> str:
    """How people decide on an approval where there are no buttons."""
    return f"Decide with `llmasos jobs approve {job_id}` or `llmasos jobs decline {job_id}`."


@dataclass(frozen=True)
class Gathered:
    """A request that is whole."""

    request: Request
    earlier: tuple[Earlier, ...] = ()
    """What was said in its conversation before it, oldest first."""


class Source(Protocol):
    """A place where requests come from, which can tell more of them than their door waited for.

    Plug-ins: entry points in the group `llmasos.sources`, whose value is called with the `Settings`
    and gives a source, or None when it is not configured.
    """

    name: str
    """The `source` in the metadata of its requests."""

    def gather(self, request: Request, begun: bool) -> Gathered:
        """The request with its files read and names for ids, and what was said before it.

        begun: whether its conversation holds something already; then nothing earlier is wanted.
        Does without what it cannot have: a file that it cannot read says why in `unread`.
        """
        ...


class Channel(Protocol):
    """A kind of place. Plug-ins: entry points in the group `llmasos.channels`, whose value is
    called with the `Settings` and gives a channel, or None when it is not configured.
    """

    scheme: str
    """The part of an address before the colon."""

    def open(self, address: str, turn: Turnover, journal: Journal) -> Post:
        """The post of this job at this address, found again if another worker began it.

        Raises ChannelRefused when the address is not one of this channel's.
        """
        ...
