"""An answer as Slack's native stream, in direct messages: it grows before the reader's eyes.

A stream dies about five minutes after its start and holds 12,000 characters, so that a long answer
goes on in another message. Whatever goes wrong ends the stream (`Broken`), and `post.py` goes on
with updates of the same message. Start reading at `Stream.grow`.
"""

import time
from dataclasses import replace

from integrations.slack.blocks import Look
from integrations.slack.calls import Limited, Refused, Unsure
from integrations.slack.markdown import LIMIT, closing, cut, reopening
from integrations.slack.messages import Messages

ROOM = LIMIT - 16
"""Characters for a message's text; the rest is for what closes a code block."""


class Broken(Exception):
    """This answer cannot be streamed on."""


class Stream:
    """One answer, streamed into as many messages as it takes.

    seconds: age at which a message is ended and the next begun.
    """

    def __init__(self, messages: Messages, job_id: str, seconds: float) -> None:
        self._messages, self._job_id, self._seconds = messages, job_id, seconds
        self._sent = ""
        self._texts: list[str] = []
        self._ended = ""  # the message before, whose code block or table may go on in the next
        self._live = False
        self._began = 0.0

    @property
    def begun(self) -> bool:
        """Whether anything was streamed."""
        return bool(self._texts)

    def grow(self, text: str) -> None:
        """Stream what is new of a growing text.

        text: all of it so far, harmless.
        Raises Broken when it is another text than before or Slack ends the stream; Limited; Unsure
        when it is not known whether a message was created.
        """
        if not text.startswith(self._sent):
            raise Broken
        self._rotate()
        while (rest := text[len(self._sent) :]).strip():
            if self._live:
                self._append(rest)
            else:
                self._start(rest)

    def end(self, text: str, last: Look) -> list[str]:
        """Stream the rest and end; gives the texts of the messages, in order.

        last: what the last message shows, but for its text and part. Raises as `grow` does.
        """
        self.grow(text)
        if self._live:
            number = len(self._texts) - 1
            self._stop(None, replace(last, text=self._texts[-1], part=number))
        return self._texts

    def _start(self, rest: str) -> None:
        lead = reopening(self._ended, rest)
        size = max(1, cut(lead + rest, ROOM) - len(lead))
        text = lead + rest[:size]
        number = len(self._texts)
        try:
            self._messages.start_stream(number, text)
        except Refused as refused:
            raise Broken from refused
        except Limited as limited:
            if number:
                raise  # it goes on when there is room
            raise Broken from limited
        self._began, self._live = time.monotonic(), True
        self._texts.append(text)
        self._sent += rest[:size]
        if size < len(rest):
            self._close()

    def _append(self, rest: str) -> None:
        shown = self._texts[-1]
        size = max(0, cut(shown + rest, ROOM) - len(shown))
        if size:
            try:
                self._messages.append(len(self._texts) - 1, rest[:size])
            except (Refused, Unsure) as error:
                raise Broken from error
            self._texts[-1] += rest[:size]
            self._sent += rest[:size]
        if size < len(rest):
            self._close()

    def _rotate(self) -> None:
        if self._live and time.monotonic() - self._began >= self._seconds:
            self._close()

    def _close(self) -> None:
        """End the message; what follows goes into another."""
        shown = self._texts[-1]
        tail = closing(shown)
        look = Look(shown + tail, job_id=self._job_id, part=len(self._texts) - 1)
        self._stop(tail, look)
        self._texts[-1], self._ended = look.text, shown

    def _stop(self, tail: str | None, look: Look) -> None:
        try:
            self._messages.stop_stream(look.part, tail, look)
        except (Refused, Unsure) as error:
            raise Broken from error
        self._live = False
