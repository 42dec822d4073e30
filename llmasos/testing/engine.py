"""A scripted engine: says what a test tells it to say, word by word, and remembers what was asked.

A `Backend` like any other, held to the same contract suite as the real one.
"""

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from llmasos.errors import EngineError
from llmasos.generation import Message, ModelInfo, Options, Piece

Answer = str | EngineError
Script = Iterable[Answer] | Callable[[Sequence[Message]], Answer]
_WORD = re.compile(r"\s*\S+|\s+")


@dataclass(frozen=True)
class Call:
    """What the engine was asked. A raw prompt counts as one message of the user."""

    messages: tuple[Message, ...]
    options: Options


class ScriptedEngine:
    """A backend for tests.

    script: the answers in order, or a function from the messages to an answer; an error in place
    of an answer is raised. A word counts as a token. info: what it says of its model.
    """

    def __init__(self, script: Script = (), *, info: ModelInfo | None = None) -> None:
        self.calls: list[Call] = []
        """Every call, oldest first."""
        self.closed = 0
        """How many answers were closed before their end."""
        self.gate = threading.Event()
        """While it is clear the engine stands still before each next word; see `hold`."""
        self.gate.set()
        self._answer: Callable[[Sequence[Message]], Answer] | None = None
        self._answers: list[Answer] = []
        if callable(script):
            self._answer = script
        else:
            self._answers = list(script)
        self._info = info or ModelInfo(
            model="scripted", max_input_tokens=3000, max_total_tokens=4000
        )

    def script(self, *answers: Answer) -> None:
        """Add answers behind those that are left."""
        self._answers.extend(answers)

    def hold(self) -> threading.Event:
        """Stand still before the next word until the event, which is returned, is set."""
        self.gate.clear()
        return self.gate

    def generate(self, prompt: str, options: Options) -> Iterator[Piece]:
        """Go on from a raw prompt."""
        return self._say((Message(role="user", content=prompt),), options)

    def chat(self, messages: Sequence[Message], options: Options) -> Iterator[Piece]:
        """Answer the last message."""
        return self._say(tuple(messages), options)

    def count_tokens(self, text: str) -> int:
        """The number of words."""
        return len(text.split())

    def info(self) -> ModelInfo:
        """What it was told to say of its model."""
        return self._info

    def _say(self, messages: tuple[Message, ...], options: Options) -> Iterator[Piece]:
        self.calls.append(Call(messages, options))
        answer = self._next(messages)
        if isinstance(answer, EngineError):
            raise answer
        text, reason = _cut(answer, options.stop)
        words = _WORD.findall(text)
        if len(words) > options.max_new_tokens:
            words, reason = words[: options.max_new_tokens], "length"
        ended = False
        try:
            for word in words:
                self.gate.wait()
                yield Piece(text=word)
            ended = True
        finally:
            self.closed += not ended
        prompt = sum(self.count_tokens(message.content) for message in messages)
        yield Piece(
            text="", finish_reason=reason, prompt_tokens=prompt, completion_tokens=len(words)
        )

    def _next(self, messages: Sequence[Message]) -> Answer:
        if self._answer is not None:
            return self._answer(messages)
        if not self._answers:
            raise AssertionError(f"the script has no answer left for {messages[-1].content!r}")
        return self._answers.pop(0)


def _cut(text: str, stops: Sequence[str]) -> tuple[str, str]:
    """The text before its first stop sequence, and why it ends there."""
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]
    return (text[: min(ends)], "stop_sequence") if ends else (text, "eos_token")
