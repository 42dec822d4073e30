"""What a message needs beyond itself: names, attached files, what was said before in its thread.

The worker has it gathered before the agent begins, so that Slack is acknowledged without it. What
others have written goes to the agent as their words, by name. What Slack does not give is done
without: an answer without a name is better than none. Start reading at `SlackSource.gather`.
"""

from typing import Any

import structlog

from integrations.slack.address import MEMBER, TS, Address, parse
from integrations.slack.address import SCHEME as PLAIN
from integrations.slack.blocks import EVENT_TYPE
from integrations.slack.calls import Calls, Refused, SlackError
from integrations.slack.channel import CallsIn, channel
from integrations.slack.command_channel import SCHEME as COMMANDS
from integrations.slack.files import Files
from integrations.slack.names import Names
from integrations.slack.translate import SOURCE, readable
from llmasos.channels import Earlier, Gathered
from llmasos.errors import ChannelRefused
from llmasos.generation import Message
from llmasos.request import Attachment, Request
from llmasos.settings import Settings

log = structlog.get_logger()

LATEST = 19
"""How many messages of a thread are taken beside its first one."""
PAGE = 200
PAGES = 5
LONGEST = 2_000
"""Characters that are taken of each."""
SEEN = 20
"""How many messages are taken of a channel that somebody looks at."""


def source(settings: Settings) -> "SlackSource | None":
    """The source of these settings; None when there is no bot."""
    slack = channel(settings)
    return SlackSource(slack.calls_in, settings) if slack else None


class SlackSource:
    """Gathers for requests from Slack: a `channels.Source`. Safe to use from several threads."""

    name = SOURCE

    def __init__(self, calls_in: CallsIn, settings: Settings) -> None:
        self._calls_in, self._settings = calls_in, settings
        self._gathering: dict[str | None, _Gathering] = {}

    def gather(self, request: Request, begun: bool) -> Gathered:
        """The request with names and files in it, and what was said before it.

        begun: whether its conversation holds something already.
        """
        place = _place(request)
        if place is None:
            return Gathered(request)
        try:
            calls = self._calls_in(place.workspace)
        except Refused as refused:  # the answer will not get there either, and says why
            log.warning("slack.not_gathered", code=refused.code)
            return Gathered(request)
        known = self._gathering.get(place.workspace)
        if known is None or known.calls is not calls:
            known = self._gathering[place.workspace] = _Gathering(calls, self._settings)
        return known.gather(request, place, begun)


class _Gathering:
    """Gathers in one workspace."""

    def __init__(self, calls: Calls, settings: Settings) -> None:
        self.calls, self._settings = calls, settings
        self._names = Names(calls)

    def gather(self, request: Request, place: Address, begun: bool) -> Gathered:
        """See `SlackSource.gather`. place: where the request comes from."""
        who = request.principal
        if place.user and not place.dm:
            who = who.model_copy(update={"name": self._names.of(place.user)})
        full = request.model_copy(
            update={
                "text": self._names.resolved(request.text),
                "attachments": (*self._files(request), *self._viewed(request)),
                "principal": who,
            }
        )
        return Gathered(full, () if begun else self._earlier(request, place))

    def _files(self, request: Request) -> list[Attachment]:
        described = request.metadata.get("files")
        if not request.attachments or not isinstance(described, list):
            return list(request.attachments)
        files = Files(self.calls, self._settings)
        try:
            return [
                files.read(attachment, file)
                for attachment, file in zip(request.attachments, described, strict=False)
            ]
        finally:
            files.close()

    def _viewed(self, request: Request) -> list[Attachment]:
        """The latest messages of the channel that the message points to, as data."""
        viewed = request.metadata.get("viewed")
        if not isinstance(viewed, str):
            return []
        name = f"messages in {self._names.of_channel(viewed)}, by others"
        history = self.calls.client.conversations_history
        try:
            page = self.calls(history, channel=viewed, limit=SEEN, include_all_metadata=True)
        except SlackError as error:
            log.info("slack.view_not_read", reason=type(error).__name__)
            return [Attachment(name=name, unread="I am not in that channel; invite me there")]
        said = [self._message(each) for each in reversed(page.get("messages") or [])]
        lines = [f"{m.author or 'I'}: {m.content}" for _, m in filter(None, said)]
        return [Attachment(name=name, text="\n".join(lines))] if lines else []

    def _earlier(self, request: Request, place: Address) -> tuple[Earlier, ...]:
        """What was said in the thread before, and the message that is asked about."""
        earlier: list[Earlier] = []
        if place.thread_ts and float(place.thread_ts) != request.order:
            try:
                earlier = self._thread(place, request.order)
            except SlackError as error:
                log.warning("slack.thread_not_read", reason=type(error).__name__)
        about = request.metadata.get("about")
        if isinstance(about, dict):
            asked = self._message(about)
            if asked and asked[0] not in [at for at, _ in earlier]:
                earlier.append(asked)
        return tuple(sorted(earlier, key=lambda each: each[0]))

    def _thread(self, place: Address, before: float | None) -> list[Earlier]:
        """A thread's first message and its latest ones, before a time."""
        found: list[Earlier] = []
        cursor: str | None = None
        for _ in range(PAGES):
            page = self.calls(
                self.calls.client.conversations_replies,
                channel=place.channel,
                ts=str(place.thread_ts),
                include_all_metadata=True,
                limit=PAGE,
                cursor=cursor,
            )
            read = [self._message(each) for each in page.get("messages") or []]
            found += [said for said in read if said and (before is None or said[0] < before)]
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
        return [*found[:1], *found[1:][-LATEST:]]

    def _message(self, told: dict[str, Any]) -> Earlier | None:
        """One message as the agent reads it; None for what says nothing."""
        at, text = str(told.get("ts")), readable(str(told.get("text") or ""))
        if not TS.fullmatch(at) or not text or not _final(told):
            return None
        if told.get("bot_id") and told.get("bot_id") == self.calls.identity().bot:
            return float(at), Message(role="assistant", content=text[:LONGEST])
        content = self._names.resolved(text[:LONGEST])
        return float(at), Message(role="user", content=content, author=self._author(told))

    def _author(self, told: dict[str, Any]) -> str:
        user = str(told.get("user") or "")
        if MEMBER.fullmatch(user) and not told.get("bot_id"):
            return self._names.of(user)
        profile = told.get("bot_profile")
        name = told.get("username") or (profile.get("name") if isinstance(profile, dict) else "")
        return " ".join(str(name or "a bot").split())[:80]


def _final(told: dict[str, Any]) -> bool:
    """Whether a message has its last content: one of ours may be a placeholder still."""
    mark = told.get("metadata")
    if not isinstance(mark, dict) or mark.get("event_type") != EVENT_TYPE:
        return True
    payload = mark.get("event_payload")
    return not isinstance(payload, dict) or bool(payload.get("final"))


def _place(request: Request) -> Address | None:
    """Where a request comes from."""
    for address in request.reply_to:
        scheme, _, rest = address.partition(":")
        if scheme in (PLAIN, COMMANDS):
            try:
                return parse(f"{PLAIN}:{rest}")
            except ChannelRefused:
                return None
    return None
