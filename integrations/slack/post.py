"""One turn's message in Slack: a status at once, the text as it grows, the answer in the end.

In direct messages the text is streamed, in channels a placeholder is updated and becomes the
answer. A post that another worker began is taken over with updates: its text is replaced, never
appended to. Start reading at `SlackPost.show` and `SlackPost.finish`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from integrations.slack.address import Address
from integrations.slack.artifacts import is_file, listed, with_short_ones
from integrations.slack.blocks import Ending, Look, source_of
from integrations.slack.calls import Limited, Refused, SlackError, as_channel_error, in_words
from integrations.slack.handover import Case, Handover
from integrations.slack.harmless import harmless, settled
from integrations.slack.markdown import LIMIT, closing, cut, pieces
from integrations.slack.messages import Messages
from integrations.slack.stream import Broken, Stream
from integrations.slack.uploads import Uploads
from llmasos.channels import Draft, Outcome, Turnover
from llmasos.events import Approval, Artifact, Failure, Reply
from llmasos.request import AUTO

log = structlog.get_logger()

FIRST_STATUS = "Thinking…"
NO_TEXT = "_The agent gave an answer without text._"
LOADING = ("This takes a moment …", "Still at it …")
"""What takes turns with the status, at most 50 characters each."""
STATUS_SECONDS = 40.0
"""Slack drops the status of a thread after two minutes: it is said again before."""


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

    def __init__(
        self,
        messages: Messages,
        uploads: Uploads,
        address: Address,
        turn: Turnover,
        pace: Pace,
        handover: Handover | None = None,
    ) -> None:
        self._messages, self._uploads = messages, uploads
        self._address, self._turn, self._pace = address, turn, pace
        self._handover = handover
        begun = bool(messages.parts)
        self.interval = pace.update_interval
        """Seconds between two calls of `show`."""
        self._stream: Stream | None = None
        if address.streams and not begun:
            self._stream = Stream(messages, turn.job_id, pace.stream_seconds)
            self.interval = pace.stream_interval
        self._status = ""
        self._status_at = 0.0
        self._status_shown = address.dm  # the door shows one at once
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
            look = replace(self._look(piece, number), status=status, stoppable=last)
            try:
                self._messages.put(number, look)
            except Limited:
                if not self._messages.any and self._address.thread_ts:
                    self._say(draft.status or FIRST_STATUS)
                raise

    def _ask(self, approval: Approval) -> None:
        """Show the question; the answer takes its place later."""
        self._settle()
        self._stop_streaming()
        text = harmless(f"✋ {approval.question}")
        text = text[: cut(text, LIMIT)]
        self._messages.put(0, replace(self._look(text + closing(text), 0), to_decide=True))
        self._messages.remove_from(1)
        self._rest()

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
        self._put_all(texts, ending)
        self._messages.remove_from(len(texts))
        if not streamed:
            self._rest()
        if isinstance(outcome, Reply):
            self._share([each for each in outcome.artifacts if is_file(each)], texts, ending)
            self._hand_over(outcome)

    def _put_all(self, texts: Sequence[str], ending: Ending) -> None:
        for number, piece in enumerate(texts):
            below = ending if number == len(texts) - 1 else None
            look = replace(self._look(piece, number), ending=below, final=True)
            self._messages.put(number, look)
            self._messages.close(number)

    def _share(self, files: Sequence[Artifact], texts: Sequence[str], ending: Ending) -> None:
        """Share files below the answer, or say there why they are not."""
        try:
            self._uploads.share(files)
        except Refused as refused:
            self._log.warning("slack.files_refused", code=refused.code)
            why = f"not shared: {in_words(refused)}"
            names = tuple(f"{each.name} ({why})" for each in files)
            self._put_all(texts, replace(ending, files=(*ending.files, *names)))

    def _hand_over(self, reply: Reply) -> None:
        """Ask a person, if the agent wants one and one can be asked."""
        request = self._turn.request
        if self._handover is None or reply.handoff is None or request.conversation is None:
            return
        try:
            self._handover.hand_over(
                Case(
                    job_id=self._turn.job_id,
                    conversation=request.conversation,
                    address=self._address,
                    question=request.text,
                    answer=reply.text,
                    reason=reply.handoff.reason,
                    by=f"agent:{self._turn.agent}",
                    summary=reply.handoff.summary,
                    alone=True,  # the job's attempt fences it
                )
            )
        except Refused as refused:  # the answer itself is there
            self._log.warning("slack.not_handed_over", code=refused.code)

    def _content(self, outcome: Reply | Failure) -> tuple[str, Ending]:
        job_id = self._turn.job_id
        if isinstance(outcome, Failure):
            return harmless(f"⚠️ {outcome.message}"), Ending(job_id=job_id, opinion=False)
        text = harmless(with_short_ones(outcome)).strip() or NO_TEXT
        ending = Ending(
            sources=tuple(source_of(n, each) for n, each in enumerate(outcome.citations, 1)),
            files=listed(outcome),
            agent="" if self._turn.agent == AUTO else self._turn.agent,
            alternatives=outcome.alternatives,
            job_id=job_id,
            person=self._handover is not None and outcome.handoff is None,
        )
        return text + closing(text), ending

    def _look(self, text: str, number: int) -> Look:
        return Look(text, job_id=self._turn.job_id, part=number)

    def _settle(self) -> None:
        """Find what may have been created; from then on messages are updated, not streamed."""
        if self._messages.settle():
            self._stop_streaming()

    def _stop_streaming(self) -> None:
        self._stream, self.interval = None, self._pace.update_interval

    def _rest(self) -> None:
        """Show that nothing is being done any more; a stream's end alone does so by itself."""
        if self._address.dm and self._address.thread_ts:
            try:
                self._messages.call(
                    self._messages.client.agents_sessions_setStatus,
                    channel_id=self._address.channel,
                    thread_ts=self._address.thread_ts,
                    status="active",
                )
            except SlackError as error:  # a session may not be had, a status may
                self._log.info("slack.session_not_rested", reason=str(error)[:100])
            else:
                return
        if self._status_shown:
            self._say("")

    def _say(self, status: str) -> None:
        """Show a status below the thread; it costs nothing if that fails."""
        now = time.monotonic()
        if status == self._status and now - self._status_at < STATUS_SECONDS and status:
            return
        try:
            self._messages.try_call(
                self._messages.client.assistant_threads_setStatus,
                channel_id=self._address.channel,
                thread_ts=str(self._address.thread_ts),
                status=status[:100],
                loading_messages=[status[:50], *LOADING] if status else None,
            )
        except SlackError as error:
            self._log.info("slack.status_not_shown", reason=str(error)[:100])
            return
        self._status, self._status_at, self._status_shown = status, now, bool(status)
