"""One job's messages at one address: each is created once, and found again after a crash.

Stands between `post.py`, which decides what is seen, and `calls.py`. Before a message is created
the journal says so; after a crash or a lost answer the thread is read for it. Every call is
fenced by the job's attempt. Start reading at `Messages.put` and `Messages.settle`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from slack_sdk import WebClient
from slack_sdk.web import SlackResponse

from integrations.slack.address import Address
from integrations.slack.blocks import Look, mark_of, metadata
from integrations.slack.calls import Calls, Refused, SlackError, Unsure
from llmasos.channels import Journal, Turnover

PAGE = 200
PAGES = 20
"""How much of a thread is read when a message of ours is looked for."""
FILES = 1_000
"""The journal's number of a job's first file; its messages are counted from 0."""
TOO_MUCH = ("invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long")


@dataclass
class Part:
    """One message as far as this process knows it."""

    ts: str | None = None
    begun_at: float = 0.0
    streaming: bool = False
    absent: bool = False
    """It is surely not there; without that, no `ts` means that it may be."""
    look: Look | None = None
    """What it shows; None when that is not known."""


class Messages:
    """The messages, by part.

    settle_seconds: after how long a message whose creation was not confirmed, and which the thread
    does not show, is taken not to exist.
    Raises LeaseLost from every method when another worker has taken the job over.
    """

    def __init__(
        self,
        calls: Calls,
        address: Address,
        turn: Turnover,
        journal: Journal,
        settle_seconds: float,
    ) -> None:
        self._calls, self._address, self._turn, self._journal = calls, address, turn, journal
        self._settle_seconds = settle_seconds
        self._who = f"{turn.job_id}:{address.channel}"
        self._room = False  # whether an update was taken that has not been made yet
        self.last = False
        """Whether what is written now is the last content: it must get there, drafts need not."""
        self.parts: list[Part] = []
        for row in journal.rows():
            if row.part >= FILES:
                break
            while len(self.parts) < row.part:
                self.parts.append(Part(absent=True))
            self.parts.append(Part(row.external_id, row.begun_at, row.streaming))

    def settle(self) -> bool:
        """Find out about messages that may have been created; whether there were any.

        Raises Unsure when one is not seen yet and may still appear.
        """
        doubtful = [n for n, part in enumerate(self.parts) if not part.ts and not part.absent]
        for number in doubtful:
            part = self.parts[number]
            part.ts = self._find(number)
            if part.ts:
                self._journal.opened(number, part.ts, streaming=part.streaming)
                continue
            wait = part.begun_at + self._settle_seconds - time.time()
            if wait > 0:
                raise Unsure("whether the message was created is not known yet", wait)
            part.absent = True
        return bool(doubtful)

    def put(self, number: int, look: Look) -> None:
        """Make a message look so, creating it when it is not there."""
        part = self._part(number)
        if part.absent:
            if not self.last:
                self._make_room()
            self._post(number, look)
            return
        if part.streaming:
            self.end_stream(number)
        if part.look == look:
            return
        try:
            self._sent(self.client.chat_update, look, ts=part.ts)
        except Refused as refused:
            if refused.code == "message_not_found":  # somebody removed it
                self._post(number, look)
                return
            if refused.code != "streaming_state_conflict":
                raise
            self.end_stream(number)
            self._sent(self.client.chat_update, look, ts=part.ts)
        part.look = look

    def close(self, number: int) -> None:
        """Commit that a message has its last content."""
        self._journal.closed(number)

    def remove_from(self, number: int) -> None:
        """Remove this message and those after it."""
        for later, part in enumerate(self.parts[number:], number):
            if part.ts and not part.absent:
                if part.streaming:
                    self.end_stream(later)
                try:
                    self.call(self.client.chat_delete, channel=self.channel, ts=part.ts)
                except Refused as refused:
                    if refused.code != "message_not_found":
                        raise
                part.absent = True
            self._journal.closed(later)

    def start_stream(self, number: int, text: str) -> None:
        """Create a message whose text grows, for the person who asked."""
        self._create(
            number,
            lambda: self.call(
                self.client.chat_startStream,
                channel=self.channel,
                thread_ts=str(self._address.thread_ts),
                markdown_text=text,
                recipient_team_id=self._address.team,
                recipient_user_id=self._address.user,
            ),
            streaming=True,
        )

    def append(self, number: int, text: str) -> None:
        """Let a stream's text grow."""
        self.call(
            self.client.chat_appendStream,
            channel=self.channel,
            ts=self.parts[number].ts,
            markdown_text=text,
        )

    def stop_stream(self, number: int, text: str | None, look: Look) -> None:
        """End a stream: `text` is its last piece, `look` all that the message then shows."""
        part = self.parts[number]
        self.call(
            self.client.chat_stopStream,
            channel=self.channel,
            ts=part.ts,
            markdown_text=text or None,
            blocks=replace(look, text="").blocks() or None,
            metadata=look.metadata(),
        )
        self._stopped(number)
        part.look = look

    def end_stream(self, number: int) -> None:
        """End a stream whatever it shows; its message is about to be replaced."""
        part = self.parts[number]
        mark = metadata(self._turn.job_id, number, final=False)
        stop = self.client.chat_stopStream
        with suppress(Refused):  # it has ended already; an update will say if it has not
            self.call(stop, channel=self.channel, ts=part.ts, metadata=mark)
        part.look = None
        self._stopped(number)

    @property
    def channel(self) -> str:
        """The channel's id."""
        return self._address.channel

    def call(self, method: Callable[..., SlackResponse], **arguments: Any) -> dict[str, Any]:
        """Make a call as long as the job is ours; it is booked once the last content is written."""
        self._journal.check()
        if self._room and method == self.client.chat_update:
            self._room = False
            return self._calls(method, taken=True, **arguments)
        return self._calls(method, who=self._who, must=self.last, **arguments)

    def try_call(self, method: Callable[..., SlackResponse], **arguments: Any) -> None:
        """Make a call if Slack takes it now; nothing is lost otherwise. Raises as `call` does."""
        self._journal.check()
        self._calls(method, who=self._who, must=False, **arguments)

    @property
    def thread(self) -> str | None:
        """The thread that everything after the first message is in."""
        return self._thread_of(1)

    @property
    def any(self) -> bool:
        """Whether there is a message, or may be one."""
        return any(not part.absent for part in self.parts)

    def show_file(self, file_id: str) -> bool:
        """Whether the thread shows a file of ours. Raises as `call` does."""
        return any(
            file.get("id") == file_id
            for message in self._read(1)
            for file in message.get("files") or ()
        )

    @property
    def client(self) -> WebClient:
        """The SDK's client, whose methods `call` takes."""
        return self._calls.client

    def _make_room(self) -> None:
        """Take the update that a draft will need: the first text is not held up by its pace.

        Raises Limited while there is none to spare: then better no draft.
        """
        self._calls.reserve(self.client.chat_update, self._who)
        self._room = True

    def _part(self, number: int) -> Part:
        while len(self.parts) <= number:
            self.parts.append(Part(absent=True))
        return self.parts[number]

    def _stopped(self, number: int) -> None:
        part = self.parts[number]
        part.streaming = False
        self._journal.opened(number, str(part.ts), streaming=False)

    def _post(self, number: int, look: Look) -> None:
        thread = self._thread_of(number)
        quiet = {"unfurl_links": False, "unfurl_media": False}  # a link's preview would be fetched
        post = self.client.chat_postMessage
        self._create(
            number, lambda: self._sent(post, look, thread_ts=thread, **quiet), streaming=False
        )
        self.parts[number].look = look

    def _sent(
        self, method: Callable[..., SlackResponse], look: Look, **arguments: Any
    ) -> dict[str, Any]:
        """Send a message's content; without what stands below it if Slack takes only that."""
        try:
            return self.call(method, channel=self.channel, **look.arguments(), **arguments)
        except Refused as refused:
            if refused.code not in TOO_MUCH or look.ending is None:
                raise
            plainer = replace(look, ending=None)
            return self.call(method, channel=self.channel, **plainer.arguments(), **arguments)

    def _create(self, number: int, make: Callable[[], dict[str, Any]], *, streaming: bool) -> None:
        """Create a message: say so, do it, keep its name."""
        self._journal.begin(number, streaming=streaming)
        self._part(number)
        part = self.parts[number] = Part(begun_at=time.time(), streaming=streaming)
        try:
            ts = make()["ts"]
        except Unsure as unsure:
            raise Unsure(unsure.reason, self._settle_seconds) from unsure
        except SlackError:
            part.absent = True
            self._journal.dropped(number)
            raise
        part.ts = str(ts)
        self._journal.opened(number, part.ts, streaming=streaming)

    def _thread_of(self, number: int) -> str | None:
        """The thread that a part is in; what goes on from a new message is in its thread."""
        return self._address.thread_ts or (self.parts[0].ts if number else None)

    def _find(self, number: int) -> str | None:
        """Our message in the thread: by its metadata, or one of ours that no row knows.

        A stream takes no metadata when it is created. Outside threads only metadata counts.
        """
        self._journal.check()
        bot = self._calls.identity()
        nameless: list[str] = []
        for message in self._read(number):
            if message.get("user") != bot.user and message.get("bot_id") != bot.bot:
                continue
            told = mark_of(message)
            if message.get("files"):
                continue
            if told is None:
                nameless.append(str(message["ts"]))
            elif told.get("job") == self._turn.job_id and told.get("part") == number:
                return str(message["ts"])
        if not nameless or self._thread_of(number) is None:
            return None
        known = self._journal.known(nameless) | {str(part.ts) for part in self.parts}
        return next((ts for ts in nameless if ts not in known), None)

    def _read(self, number: int) -> Iterator[dict[str, Any]]:
        """The messages newer than the question, in the thread or the channel."""
        order = self._turn.request.order
        asked = order if order is not None and self._address.user else self._turn.asked_at - 60
        thread, client = self._thread_of(number), self.client
        method = client.conversations_replies if thread else client.conversations_history
        place = {"channel": self.channel, **({"ts": thread} if thread else {})}
        cursor: str | None = None
        for _ in range(PAGES):
            page = self.call(
                method,
                **place,
                oldest=f"{asked:.6f}",
                include_all_metadata=True,
                limit=PAGE,
                cursor=cursor,
            )
            for message in page.get("messages", []):
                if float(message["ts"]) > asked:
                    yield message
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return
