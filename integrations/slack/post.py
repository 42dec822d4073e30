"""One turn's message in Slack: a status at once, the text as it grows, the answer in the end.

In direct messages the text is streamed, in channels a placeholder is updated and becomes the
answer. A post that another worker began is taken over with updates: its text is replaced, never
appended to. Start reading at `SlackPost.show` and `SlackPost.finish`.
"""

import time
from dataclasses import dataclass, replace

import structlog

from integrations.slack.address import Address
from integrations.slack.blocks import Ending, Look, ending_of
from integrations.slack.calls import Refused, SlackError, as_channel_error
from integrations.slack.markdown import harmless, pieces, settled
from integrations.slack.messages import Messages
from integrations.slack.stream import Broken, Stream
from llmasos.channels import Draft, Outcome, Turnover, how_to_decide
from llmasos.events import Approval, Failure, Reply
from llmasos.request import AUTO

log = structlog.get_logger()

FIRST_STATUS = "Thinking…"
NO_TEXT = "_The agent gave an answer without text._"
STATUS_SECONDS = 60.0
"""Slack drops the status of a thread after two minutes: it is said again after one."""


@dataclass(frozen=True)
class Pace:
    """How often Slack is called, in seconds."""

    update_interval: float = 3.0
    stream_interval: float = 1.0
    stream_seconds: float = 240.0
    """Age at which a stream goes on in another message."""
    settle_seconds: float = 30.0
    """After a lost answer: how long until a message that is not seen is taken not to exist."""


class SlackPost:
    """The messages of one job at one address: a `channels.Post`."""

    def __init__(self, messages: Messages, address: Address, turn: Turnover, pace: Pace) -> None:
        self._messages, self._address, self._turn, self._pace = messages, address, turn, pace
        begun = bool(messages.parts)
        self.interval = pace.update_interval
        """Seconds between two calls of `show`."""
        self._stream: Stream | None = None
        if address.streams and not begun:
            self._stream = Stream(messages, turn.job_id, pace.stream_seconds)
            self.interval = pace.stream_interval
        self._status = ""
        self._status_at = 0.0
        self._status_shown = begun and address.dm
        self._quiet_until = 0.0
        self._log = log.bind(job=turn.job_id)

    def show(self, draft: Draft) -> None:
        """Bring what is seen up to the draft; skipped when Slack does not want it now."""
        if time.monotonic() < self._quiet_until:
            return
        try:
            self._show(draft)
        except Refused as refused:
            self._log.info("slack.draft_refused", code=refused.code)
        except SlackError as later:
            self._quiet_until = time.monotonic() + later.retry_after
            self._log.info("slack.draft_skipped", reason=type(later).__name__)

    def finish(self, outcome: Outcome) -> None:
        """Bring the final content, or a question that the job waits for.

        Raises ChannelRefused, ChannelUnavailable with the seconds to wait, or LeaseLost.
        """
        self._messages.last = True
        try:
            if isinstance(outcome, Approval):
                self._ask(outcome)
            else:
                self._finish(outcome)
        except SlackError as error:
            raise as_channel_error(error, str(self._address)) from error

    def _show(self, draft: Draft) -> None:
        self._settle()
        text = harmless(settled(draft.text)).strip()
        if self._stream is not None:
            if not text:
                self._say(draft.status or FIRST_STATUS)
                return
            try:
                self._stream.grow(text)
            except Broken:
                self._stop_streaming()
            else:
                return
        texts = pieces(text)
        for number, piece in enumerate(texts):
            last = number == len(texts) - 1
            status = (draft.status or ("" if piece else FIRST_STATUS)) if last else ""
            self._messages.put(number, self._look(piece, number, status=status))

    def _ask(self, approval: Approval) -> None:
        """Show the question; the answer takes its place later."""
        self._settle()
        self._stop_streaming()
        text = harmless(f"✋ {approval.question}\n{how_to_decide(self._turn.job_id)}")
        self._messages.put(0, self._look(text, 0))
        if self._status_shown:
            self._say("")

    def _finish(self, outcome: Reply | Failure) -> None:
        self._settle()
        text, ending = self._content(outcome)
        texts: list[str] | None = None
        if self._stream is not None and self._stream.begun and isinstance(outcome, Reply):
            last = replace(self._look("", 0), ending=ending, final=True)
            try:
                texts = self._stream.end(text, last)
            except Broken:
                self._stop_streaming()
        streamed = texts is not None
        texts = texts or pieces(text)
        for number, piece in enumerate(texts):
            below = ending if number == len(texts) - 1 else None
            look = replace(self._look(piece, number), ending=below, final=True)
            self._messages.put(number, look)
            self._messages.close(number)
        self._messages.remove_from(len(texts))
        if self._status_shown and not streamed:
            self._say("")

    def _content(self, outcome: Reply | Failure) -> tuple[str, Ending | None]:
        if isinstance(outcome, Failure):
            return harmless(f"⚠️ {outcome.message}"), None
        agent = "" if self._turn.agent == AUTO else self._turn.agent
        text = harmless(outcome.text).strip() or NO_TEXT
        return text, ending_of(outcome, agent, self._turn.job_id)

    def _look(self, text: str, number: int, *, status: str = "") -> Look:
        return Look(text, status=status, job_id=self._turn.job_id, part=number)

    def _settle(self) -> None:
        """Find what may have been created; from then on messages are updated, not streamed."""
        if self._messages.settle():
            self._stop_streaming()

    def _stop_streaming(self) -> None:
        self._stream, self.interval = None, self._pace.update_interval

    def _say(self, status: str) -> None:
        """Show a status below the thread of a direct message; it costs nothing if that fails."""
        now = time.monotonic()
        if status == self._status and now - self._status_at < STATUS_SECONDS and status:
            return
        try:
            self._messages.call(
                self._messages.client.assistant_threads_setStatus,
                channel_id=self._address.channel,
                thread_ts=str(self._address.thread_ts),
                status=status[:100],
            )
        except SlackError as error:
            self._log.info("slack.status_not_shown", reason=str(error)[:100])
            return
        self._status, self._status_at, self._status_shown = status, now, bool(status)
