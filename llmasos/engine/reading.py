"""From what a model says to the steps of a text: where it stops, what it follows, how it ends.

Pure; between `text_model.py`, whose chunks it takes, and `texts.py`, which runs the model.
"""

from dataclasses import dataclass
from typing import NamedTuple

from llmasos.engine.grammars import Follower
from llmasos.engine.refusals import Failed, Incomplete
from llmasos.engine.stopping import StopWatch
from llmasos.engine.text_model import Chunk, Job, Token

NOT_FOLLOWED = (
    "the grammar could not be applied, since it grew too complex on the way: give it fewer "
    "alternatives, and smaller counts"
)


@dataclass(frozen=True, slots=True)
class Finish:
    """How a text ended. reason: `length`, `eos_token` or `stop_sequence`."""

    reason: str
    text: str
    generated: int


class Step(NamedTuple):
    """One token; the last one carries the finish."""

    token: Token
    top: tuple[Token, ...] = ()
    finish: Finish | None = None


class Reading:
    """One text as it comes."""

    def __init__(self, job: Job) -> None:
        self._watch = StopWatch(job.stop)
        self._follower = Follower(job.grammar) if job.grammar else None
        self._most = job.max_new_tokens
        self._text, self._generated = "", 0
        self._held: Step | None = None  # maybe the last: it waits for the word on how it ended

    def take(self, chunk: Chunk) -> tuple[Step, ...]:
        """The steps that are certain now; nothing may follow one with a finish.

        Raises Failed when the text leaves its grammar, Incomplete when it does not say how it ends.
        """
        token = chunk.token
        if token is None:
            return (self._last(chunk),)
        before = (self._held,) if self._held else ()
        self._held = None
        self._generated += 1
        if token.special or not token.text:
            self._held = Step(token, chunk.top)
            return before
        piece, stopped = self._watch.feed(token.text)
        if self._follower and not self._follower.takes(piece):
            raise Failed(NOT_FOLLOWED)
        self._text += piece
        if piece != token.text:
            token = token._replace(text=piece)
        if stopped:
            finish = Finish("stop_sequence", self._text, self._generated)
            return (*before, Step(token, chunk.top, finish))
        if self._generated >= self._most:
            self._held = Step(token, chunk.top)
            return before
        return (*before, Step(token, chunk.top))

    def _last(self, chunk: Chunk) -> Step:
        """The token that was held back for this word of how the text ended."""
        held, reason = self._held, chunk.finish
        if held is None or reason is None:
            raise Incomplete
        if self._follower and reason == "eos_token" and not self._follower.complete():
            raise Failed(NOT_FOLLOWED)
        return held._replace(finish=Finish(reason, self._text, self._generated))
