"""Where an answer goes in Slack, as an address that fits in a job.

    slack:C0123                                      a new message in a channel
    slack:C0123/1760000000.000100                    a reply in a thread
    slack:D0123/1760000000.000100?team=T1&user=U1&dm=1   a reply to one person, streamed
    slack:T0123/C0123                                the same in one of several workspaces

`team` and `user` name the person who asked. Knows nothing of the SDK.
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

from llmasos.errors import ChannelRefused

SCHEME = "slack"
TS = re.compile(r"\d{1,12}\.\d{1,9}")
CHANNEL = re.compile(r"[CDG][A-Z0-9]{1,30}")
MEMBER = re.compile(r"[A-Z][A-Z0-9]{1,30}")
WORKSPACE = re.compile(r"T[A-Z0-9]{1,30}")

FORM = (
    "an address is slack:CHANNEL or slack:CHANNEL/THREAD with a channel's id such as C0123ABCD "
    "(in Slack: the channel's details, at the bottom), in one of several workspaces "
    "slack:WORKSPACE/CHANNEL"
)


@dataclass(frozen=True)
class Address:
    """A place in Slack."""

    channel: str
    thread_ts: str | None = None
    team: str | None = None
    """The workspace of the person who asked."""
    user: str | None = None
    """The person who asked."""
    dm: bool = False
    """Whether it is a direct message with that person."""
    workspace: str | None = None
    """Where the bot is installed; None: in the only workspace."""

    def __str__(self) -> str:
        place = f"{SCHEME}:{self.workspace}/" if self.workspace else f"{SCHEME}:"
        place += self.channel
        if self.thread_ts:
            place += f"/{self.thread_ts}"
        words = {"team": self.team, "user": self.user, "dm": "1" if self.dm else None}
        query = urlencode({name: word for name, word in words.items() if word})
        return f"{place}?{query}" if query else place

    @property
    def streams(self) -> bool:
        """Whether Slack's native stream can be used here."""
        return bool(self.dm and self.thread_ts and self.team and self.user)


def parse(text: str) -> Address:
    """The place that an address names.

    Raises ChannelRefused when it is not one of Slack's.
    """
    scheme, _, rest = text.partition(":")
    place, _, query = rest.partition("?")
    first, slash, others = place.partition("/")
    workspace = first if slash and WORKSPACE.fullmatch(first) else None
    channel, slash, thread = others.partition("/") if workspace else (first, slash, others)
    words = {name: values[0] for name, values in parse_qs(query).items()}
    right = (
        scheme == SCHEME
        and CHANNEL.fullmatch(channel)
        and (TS.fullmatch(thread) if slash else True)
        and all(MEMBER.fullmatch(words[name]) for name in ("team", "user") if name in words)
        and set(words) <= {"team", "user", "dm"}
    )
    if not right:
        raise ChannelRefused(text, FORM)
    return Address(
        channel=channel,
        thread_ts=thread or None,
        team=words.get("team"),
        user=words.get("user"),
        dm=words.get("dm") == "1",
        workspace=workspace,
    )
