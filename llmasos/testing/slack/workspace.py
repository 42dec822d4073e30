"""The workspace that the stand-in keeps: channels, people, messages, streams.

Plain state without a protocol; `methods.py` is what the Web API does to it.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Message:
    """One message, as people see it."""

    ts: str
    channel: str
    user: str
    text: str = ""
    thread_ts: str | None = None
    bot_id: str | None = None
    blocks: list[Json] = field(default_factory=list)
    metadata: Json | None = None
    stream: str = ""
    """The text that was streamed."""
    streaming: bool = False
    stream_began: float = 0.0
    stopped_by_user: bool = False
    updates: int = 0
    files: list[Json] = field(default_factory=list)

    @property
    def shown(self) -> str:
        """The text that a person reads: what was streamed, Markdown blocks, or the plain text."""
        markdown = [block["text"] for block in self.blocks if block.get("type") == "markdown"]
        parts = [self.stream, *markdown] if self.stream else markdown
        return "\n".join(parts) if parts else self.text

    @property
    def small_print(self) -> str:
        """What stands in the context blocks: sources, the agent, a status."""
        elements = [
            element
            for block in self.blocks
            if block.get("type") == "context"
            for element in block["elements"]
        ]
        return "\n".join(element.get("text", "") for element in elements)

    @property
    def payload(self) -> Json:
        """What our metadata says."""
        return dict(self.metadata["event_payload"]) if self.metadata else {}

    def as_json(self, *, with_metadata: bool) -> Json:
        """The message as `conversations.replies` gives it."""
        plain: Json = {"type": "message", "ts": self.ts, "user": self.user, "text": self.text}
        plain["text"] = self.text or self.stream
        if self.thread_ts:
            plain["thread_ts"] = self.thread_ts
        if self.bot_id:
            plain["bot_id"] = self.bot_id
        if self.blocks:
            plain["blocks"] = self.blocks
        if self.files:
            plain["files"] = self.files
        if with_metadata and self.metadata:
            plain["metadata"] = self.metadata
        return plain


@dataclass
class File:
    """A file that somebody attached."""

    name: str
    content: bytes
    media_type: str


@dataclass
class Channel:
    """A channel or a direct message."""

    id: str
    kind: str = "channel"
    """`channel`, `group`, `mpim` or `im`."""
    joined: bool = True
    archived: bool = False
    user: str | None = None
    """Whose direct message it is."""
    messages: list[Message] = field(default_factory=list)


class Workspace:
    """All of it, behind one lock."""

    app = "A0APP"

    def __init__(
        self, team: str = "T0TEAM", bot_user: str = "U0BOT", bot_id: str = "B0BOT"
    ) -> None:
        self.team, self.bot_user, self.bot_id = team, bot_user, bot_id
        self.lock = threading.RLock()
        self.channels: dict[str, Channel] = {}
        self.users: dict[str, Json] = {}
        self.groups: dict[str, list[str]] = {}
        """User groups: the members of each."""
        self.sessions: dict[tuple[str, str], Json] = {}
        """Sessions of the agent view: `status` and `title`, by channel and thread."""
        self.views: dict[str, Json] = {}
        """Open modals, by id, and homes, by their user's id."""
        self.triggers: dict[str, float] = {}
        """What may open a modal, and until when."""
        self.files: dict[str, File] = {}
        self.responses: dict[str, list[Json]] = {}
        """What was sent to each response URL."""
        self.statuses: dict[tuple[str, str | None], list[str]] = {}
        self.prompts: list[Json] = []
        self.ephemerals: list[Json] = []
        self.address = ""
        """Where the stand-in listens."""
        self.uploads: dict[str, Any] = {}
        """The bot's files by id; see `uploads.py`."""
        self.reactions: list[tuple[str, str, str]] = []
        self.stream_life = 300.0
        """Seconds after which a stream dies on Slack's side."""
        self._last = 0

    def mint(self) -> str:
        """A timestamp that no message has, later than all before."""
        with self.lock:
            self._last = max(time.time_ns() // 1000, self._last + 1)
            return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"

    def channel(self, channel: str, **fields: Any) -> Channel:
        """The channel with this id, made when it is not there."""
        with self.lock:
            if channel not in self.channels:
                kind = "im" if channel.startswith("D") else "channel"
                self.channels[channel] = Channel(channel, **{"kind": kind, **fields})
            return self.channels[channel]

    def find(self, channel: str, ts: str | None) -> Message | None:
        """The message at this place."""
        place = self.channels.get(channel)
        return next((m for m in place.messages if m.ts == ts), None) if place else None

    def thread(self, channel: str, thread_ts: str) -> list[Message]:
        """A thread's messages, its first one included."""
        place = self.channel(channel)
        return [m for m in place.messages if thread_ts in (m.ts, m.thread_ts)]

    def ours(self, message: Message) -> bool:
        """Whether the bot wrote it."""
        return message.bot_id == self.bot_id

    def streams(self, message: Message) -> bool:
        """Whether it is still a live stream; one that is too old dies here."""
        if message.streaming and time.monotonic() - message.stream_began > self.stream_life:
            message.streaming = False
        return message.streaming
