"""From a Slack event to a `Request`: who asks, what, of which agent, and where the answer goes.

Pure: the event and the `House` in, a request or nothing out. Events are hostile until read here.
Start reading at `to_request`.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any

from integrations.slack.address import CHANNEL, MEMBER, TS, Address
from llmasos.request import Principal, Request
from llmasos.settings import SlackSettings

HEARD = ("app_mention", "message")
"""The events that may be messages to us."""
PLAIN = (None, "file_share", "thread_broadcast")
"""Subtypes of messages that a person has just written."""

_TOKEN = re.compile(r"<([^<>\n]*)>")
_PREFIX = re.compile(r"\s*([A-Za-z][\w -]{0,62}?)\s*[::]\s*")

Event = Mapping[str, Any]


@dataclass(frozen=True)
class House:
    """What must be known of our side to read an event."""

    team: str
    """The workspace that the app is installed in."""
    bot_user: str
    settings: SlackSettings
    agents: Collection[str]
    takes_part: Callable[[str], bool]
    """Whether there is a conversation with this id."""


@dataclass(frozen=True)
class _Place:
    """Where and by whom a message was written, every part of it checked."""

    channel: str
    ts: str
    thread: str
    user: str
    team: str
    dm: bool


def to_request(event: Event, house: House) -> Request | None:
    """The request that a message makes; None when it is not for us."""
    place = _place(event, house)
    if place is None or not _from_a_person(event, house):
        return None
    raw = event.get("text")
    raw = raw if isinstance(raw, str) else ""
    conversation = f"slack:{house.team}:{place.channel}:{place.thread}"
    if not (addressed(event, house.bot_user) or _follows_up(event, place, conversation, house)):
        return None
    agent, text = _agent(readable(raw, house.bot_user), place.channel, house)
    return Request(
        agent=agent,
        text="\n\n".join(part for part in (text, _files(event)) if part),
        principal=Principal(
            id=f"slack:{place.team}:{place.user}",
            team=place.team,
            channel=place.channel,
            member=place.team == house.team,
        ),
        conversation=conversation,
        order=float(place.ts),
        reply_to=(str(Address(place.channel, place.thread, place.team, place.user, place.dm)),),
        idempotency_key=f"slack:{house.team}:{place.channel}:{place.ts}",
        metadata={"source": "slack"},
    )


def addressed(event: Event, bot_user: str) -> bool:
    """Whether a message is said to us: a mention, its twin, or a direct message."""
    return (
        event.get("type") == "app_mention"
        or event.get("channel_type") == "im"
        or bool(re.search(rf"<@{re.escape(bot_user)}[|>]", str(event.get("text") or "")))
    )


def _place(event: Event, house: House) -> _Place | None:
    channel, ts, user = (event.get(name) for name in ("channel", "ts", "user"))
    thread = event.get("thread_ts") or ts
    team = event.get("user_team") or event.get("team") or house.team
    right = (
        _is(CHANNEL, channel)
        and _is(TS, ts)
        and _is(TS, thread)
        and _is(MEMBER, user)
        and _is(MEMBER, team)
    )
    if not right:
        return None
    dm = event.get("channel_type") == "im" or str(channel).startswith("D")
    return _Place(str(channel), str(ts), str(thread), str(user), str(team), dm)


def _is(form: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _from_a_person(event: Event, house: House) -> bool:
    """Whether a person has just written it: no bot, no edit, no notice of Slack's."""
    return (
        event.get("type") in HEARD
        and event.get("subtype") in PLAIN
        and not event.get("bot_id")
        and not event.get("hidden")
        and not event.get("edited")
        and event.get("user") not in (house.bot_user, "USLACKBOT")
    )


def _follows_up(event: Event, place: _Place, conversation: str, house: House) -> bool:
    """Whether it goes on with a thread of ours; people who talk to each other are left alone."""
    own = house.settings.channels.get(place.channel)
    wanted = house.settings.follow_up
    if own is not None and own.follow_up is not None:
        wanted = own.follow_up
    to_another = str(event.get("text") or "").lstrip().startswith("<@")
    return bool(
        wanted and event.get("thread_ts") and not to_another and house.takes_part(conversation)
    )


def _agent(text: str, channel: str, house: House) -> tuple[str, str]:
    """The agent that is asked, and the text without its name: `writing: shorten this`."""
    found = _PREFIX.match(text)
    if found:
        wanted = _folded(found.group(1))
        for name in house.agents:
            if _folded(name) == wanted:
                return name, text[found.end() :]
    own = house.settings.channels.get(channel)
    return (own.agent if own and own.agent else house.settings.default_agent), text


def _folded(name: str) -> str:
    return re.sub(r"[ _-]+", "_", name.lower())


def _files(event: Event) -> str:
    """A note on the files of a message, which are not read yet."""
    files = event.get("files")
    names = [
        " ".join(str(file.get("name") or "a file").split())[:200]
        for file in (files if isinstance(files, list) else [])[:20]
        if isinstance(file, dict)
    ]
    return "\n".join(f"attached: {name} (not read)" for name in names)


def readable(text: str, bot_user: str = "") -> str:
    """A message's text as a person reads it: mentions and links in words, nothing escaped.

    bot_user: our own id, whose mentions are left out.
    """

    def words(found: re.Match[str]) -> str:
        return _in_words(found.group(1), bot_user)

    plain = _TOKEN.sub(words, text)
    return unescape_slack(plain).strip()


def _in_words(token: str, bot_user: str) -> str:
    target, _, label = token.partition("|")
    if target.startswith("@"):
        return "" if target[1:] == bot_user else f"@{label or target[1:]}"
    if target.startswith("#"):
        return f"#{label or target[1:]}"
    if target.startswith("!"):
        name = target[1:].partition("^")[0]
        return label or f"@{name}"
    if target.startswith("mailto:") or not label or label == target:
        return label or target.removeprefix("mailto:")
    return label if target.endswith(f"//{label}") else f"{label} ({target})"


def unescape_slack(text: str) -> str:
    """The text with the three characters that Slack escapes put back."""
    return re.sub(r"&(?:amp|lt|gt);", lambda found: unescape(found.group()), text)
