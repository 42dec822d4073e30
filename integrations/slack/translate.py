"""From a Slack event to a `Request`: who asks, what, of which agent, and where the answer goes.

Pure: the event and the `House` in, a request or nothing out. Events are hostile until read here.
What needs a call to Slack (names, files, what was said before) is only named here; the worker has
it gathered (`gather.py`). Start reading at `to_request`.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any

from integrations.slack.address import CHANNEL, MEMBER, TS, Address
from integrations.slack.people import Groups
from llmasos.corrections import Said
from llmasos.request import Attachment, Principal, Request
from llmasos.settings import SlackSettings

HEARD = ("app_mention", "message")
"""The events that may be messages to us."""
PLAIN = (None, "file_share", "thread_broadcast")
"""Subtypes of messages that a person has just written."""

SOURCE = "slack"
"""The `source` in the metadata of requests that come from here."""
MOST_FILES = 20
"""How many of a message's files are looked at: more than are taken, so that more are refused."""

_AT_VIEW = re.compile(
    r"\b(?:this|that|the|current|open) (?:channel|conversation|discussion)\b"
    r"|(?:这个|该|本|当前)(?:频道|讨论)",
    re.IGNORECASE,
)
"""Words that point to what the person is looking at."""
_TOKEN = re.compile(r"<([^<>\n]*)>")
_PREFIX = re.compile(r"\s*([A-Za-z][\w -]{0,62}?)\s*[::]\s*")

Event = Mapping[str, Any]


@dataclass(frozen=True)
class House:
    """What must be known of our side to read an event."""

    team: str
    """The workspace that the app is installed in, and that the event comes from."""
    bot_user: str
    settings: SlackSettings
    agents: Collection[str]
    takes_part: Callable[[str], bool]
    """Whether there is a conversation with this id."""
    groups: Groups = field(default_factory=dict)
    viewed: Callable[[str], str | None] = lambda user: None
    """The channel that a person has open beside the bot's direct messages."""
    named: str | None = None
    """What addresses say of the workspace; None: there is only this one."""

    def conversation(self, channel: str, thread: str) -> str:
        """The id of a thread's conversation."""
        return f"slack:{self.team}:{channel}:{thread}"

    def key(self, channel: str, ts: str) -> str:
        """The idempotency key of the job that a message makes."""
        return f"slack:{self.team}:{channel}:{ts}"

    def person(self, user: str, team: str, channel: str | None) -> Principal:
        """A member of a workspace, as the one who asks."""
        return Principal(
            id=f"slack:{team}:{user}",
            team=team,
            channel=channel,
            groups=self.groups.get(user, ()) if team == self.team else (),
            member=team in (self.team, *self.settings.workspaces, *self.settings.partners),
        )

    def runs_it(self, user: str) -> bool:
        """Whether a person is one of the operators."""
        return not {user, *self.groups.get(user, ())}.isdisjoint(self.settings.operators)


@dataclass(frozen=True)
class Edit:
    """A person has changed a message."""

    request: Request
    """As it reads now."""
    said: Said
    at: float
    """When, in seconds since the epoch."""


@dataclass(frozen=True)
class Stop:
    """A person has pressed Stop in a session of the agent view."""

    channel: str
    thread: str
    user: str
    conversation: str


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
    if not (addressed(event, house.bot_user) or _follows_up(event, place, house)):
        return None
    return _request(event, place, house)


def to_edit(event: Event, house: House) -> Edit | None:
    """What a person has changed, of whatever message; None when nobody has changed any words."""
    now, before = event.get("message"), event.get("previous_message")
    if event.get("subtype") != "message_changed" or not isinstance(now, dict):
        return None
    if isinstance(before, dict) and before.get("text") == now.get("text"):
        return None  # a link's preview came
    where = {name: event.get(name) for name in ("channel", "channel_type")}
    inner = {**now, **where, "type": "message", "edited": None}
    place, at = _place(inner, house), event.get("ts")
    if place is None or not _is(TS, at) or not _from_a_person(inner, house):
        return None
    return Edit(
        _request(inner, place, house),
        _said(place.channel, place.ts, place.thread, house),
        float(str(at)),
    )


def to_deletion(event: Event, house: House) -> Said | None:
    """The message that somebody has deleted; None when nobody has, or it was a bot's."""
    before, channel, ts = (event.get(n) for n in ("previous_message", "channel", "deleted_ts"))
    before = before if isinstance(before, dict) else {}
    if event.get("subtype") != "message_deleted" or before.get("bot_id"):
        return None
    thread = before.get("thread_ts") or ts
    if not (_is(CHANNEL, channel) and _is(TS, ts) and _is(TS, thread)):
        return None
    return _said(str(channel), str(ts), str(thread), house)


def to_stop(event: Event, house: House) -> Stop | None:
    """The session that somebody wants stopped."""
    channel, thread, user = (event.get(name) for name in ("channel", "thread_ts", "user"))
    if not (_is(CHANNEL, channel) and _is(TS, thread) and _is(MEMBER, user)):
        return None
    conversation = house.conversation(str(channel), str(thread))
    return Stop(str(channel), str(thread), str(user), conversation)


def viewed_channel(event: Event) -> tuple[str, str] | None:
    """Who looks at which channel, of an `app_context_changed`; the channel is empty for none."""
    user, context = event.get("user"), event.get("context")
    if not _is(MEMBER, user) or not isinstance(context, dict):
        return None
    entities = context.get("entities")
    for each in entities if isinstance(entities, list) else []:
        if isinstance(each, dict) and each.get("type") == "slack#/types/channel_id":
            channel = each.get("value")
            if _is(CHANNEL, channel):
                return str(user), str(channel)
    return str(user), ""


def farewell(body: Event) -> bool:
    """Whether the app was removed from a workspace, or its token there taken back."""
    event = body.get("event")
    if body.get("type") != "event_callback" or not isinstance(event, dict):
        return False
    if event.get("type") == "tokens_revoked":
        tokens = event.get("tokens")
        return isinstance(tokens, dict) and bool(tokens.get("bot"))
    return event.get("type") == "app_uninstalled"


def _said(channel: str, ts: str, thread: str, house: House) -> Said:
    return Said(house.conversation(channel, thread), float(ts), house.key(channel, ts))


def _request(event: Event, place: _Place, house: House) -> Request:
    raw = event.get("text")
    text = readable(raw if isinstance(raw, str) else "", house.bot_user)
    agent, text = chosen_agent(text, place.channel, house)
    attachments, files = _files(event)
    metadata: dict[str, Any] = {"source": SOURCE, "files": files}
    if place.dm and _AT_VIEW.search(text) and (viewed := house.viewed(place.user)):
        metadata["viewed"] = viewed
    address = Address(
        place.channel, place.thread, place.team, place.user, place.dm, workspace=house.named
    )
    return Request(
        agent=agent,
        text=text,
        attachments=attachments,
        principal=house.person(place.user, place.team, place.channel),
        conversation=house.conversation(place.channel, place.thread),
        order=float(place.ts),
        reply_to=(str(address),),
        idempotency_key=house.key(place.channel, place.ts),
        metadata=metadata,
    )


def addressed(event: Event, bot_user: str) -> bool:
    """Whether a message is said to us: a mention, its twin, or a direct message."""
    return event.get("channel_type") == "im" or mentioned(event, bot_user)


def mentioned(event: Event, bot_user: str) -> bool:
    """Whether a message names us."""
    named = re.search(rf"<@{re.escape(bot_user)}[|>]", str(event.get("text") or ""))
    return event.get("type") == "app_mention" or named is not None


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


def _follows_up(event: Event, place: _Place, house: House) -> bool:
    """Whether it goes on with a thread of ours; people who talk to each other are left alone."""
    own = house.settings.channels.get(place.channel)
    wanted = house.settings.follow_up
    if own is not None and own.follow_up is not None:
        wanted = own.follow_up
    to_another = str(event.get("text") or "").lstrip().startswith("<@")
    if not wanted or to_another or not event.get("thread_ts"):
        return False
    begun_by_us = event.get("parent_user_id") == house.bot_user
    return begun_by_us or house.takes_part(house.conversation(place.channel, place.thread))


def chosen_agent(text: str, channel: str, house: House) -> tuple[str, str]:
    """The agent that is asked, and the text without its name: `writing: shorten this`."""
    found = _PREFIX.match(text)
    if found:
        wanted = _folded(found.group(1))
        for name in house.agents:
            if _folded(name) == wanted:
                return name, text[found.end() :]
    own = house.settings.channels.get(channel)
    default = house.settings.default_agent_in(house.team)
    return (own.agent if own and own.agent else default), text


def _folded(name: str) -> str:
    return re.sub(r"[ _-]+", "_", name.lower())


def _files(event: Event) -> tuple[tuple[Attachment, ...], list[dict[str, Any]]]:
    """The files of a message, still empty, and where each one's content is."""
    given = event.get("files")
    files = [
        f for f in (given if isinstance(given, list) else [])[:MOST_FILES] if isinstance(f, dict)
    ]
    attachments = tuple(
        Attachment(
            name=" ".join(str(file.get("name") or "a file").split())[:200] or "a file",
            media_type=str(file.get("mimetype") or "application/octet-stream")[:200],
        )
        for file in files
    )
    return attachments, [
        {
            "id": str(file.get("id") or "")[:50],
            "url": str(file.get("url_private_download") or file.get("url_private") or "")[:1000],
            "size": file.get("size") if isinstance(file.get("size"), int) else None,
        }
        for file in files
    ]


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
