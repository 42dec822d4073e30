"""A scripted engine: says what a test tells it to say, word by word, and remembers what was asked.

A `Backend` like any other, held to the same contract suite as the real one.
"""

import itertools
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from llmasos.errors import EngineError, EngineUnavailable, GenerationFailed
from llmasos.generation import Message, ModelInfo, Options, Piece, ToolCall

Answer = str | BaseModel | ToolCall | Sequence[ToolCall] | EngineError
Script = Iterable[Answer] | Callable[[Sequence[Message]], Answer]
_WORD = re.compile(r"\s*\S+|\s+")


def calls(tool: str, **arguments: Any) -> ToolCall:
    """A call of a tool, as an answer in a script; the engine gives it an id."""
    return ToolCall(id="", name=tool, arguments=arguments)


@dataclass(frozen=True)
class Call:
    """What the engine was asked. A raw prompt counts as one message of the user."""

    messages: tuple[Message, ...]
    options: Options


class ScriptedEngine:
    """A backend for tests.

    script: the answers in order, or a function from the messages to an answer. An answer is a
    text; a Pydantic model, said as JSON; one or several calls of tools (`calls`), which the request
    must offer; or an error, which is raised. A word counts as a token.
    info: what it says of its model.
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
        self._ids = itertools.count(1)
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
        text, called = self._spoken(answer, options)
        said, reason = _cut(text, options.stop)
        words = _WORD.findall(said)
        if len(words) > options.max_new_tokens:
            words, reason = words[: options.max_new_tokens], "length"
        ended = False
        try:
            yield from self._paced(words, options.timeout)
            ended = True
        finally:
            self.closed += not ended
        prompt = sum(self.count_tokens(message.content) for message in messages)
        spent = len(words) + sum(1 + len(call.arguments) for call in called)
        yield Piece(
            text="",
            finish_reason="tool_calls" if called else reason,
            tool_calls=called,
            prompt_tokens=prompt,
            completion_tokens=spent,
        )

    def _paced(self, words: Sequence[str], timeout: float | None) -> Iterator[Piece]:
        """The words, each when the gate is open. Raises as a server's backend does in the end."""
        until = None if timeout is None else time.monotonic() + timeout
        for number, word in enumerate(words):
            left = None if until is None else max(0.0, until - time.monotonic())
            if not self.gate.wait(left):
                late = f"no answer within {timeout:g} s"
                raise GenerationFailed(late) if number else EngineUnavailable("scripted", late)
            yield Piece(text=word)

    def _spoken(self, answer: Answer, options: Options) -> tuple[str, tuple[ToolCall, ...]]:
        """The text of an answer and the tools that it calls, which the request must allow."""
        if isinstance(answer, ToolCall):
            answer = (answer,)
        if isinstance(answer, (str, BaseModel)):
            if options.tools and options.tool_choice not in ("auto", "none"):
                raise AssertionError(f"a tool must be called here ({options.tool_choice})")
            text = answer if isinstance(answer, str) else answer.model_dump_json(by_alias=True)
            return text, ()
        assert not isinstance(answer, EngineError)
        allowed = {tool.name for tool in options.tools}
        if options.tool_choice not in ("auto", "required"):
            allowed &= {options.tool_choice}
        for call in answer:
            if call.name not in allowed:
                raise AssertionError(f"the tool '{call.name}' cannot be called here: {allowed}")
        return "", tuple(self._named(call) for call in answer)

    def _named(self, call: ToolCall) -> ToolCall:
        """A call with an id, which only its engine gives."""
        return call.model_copy(update={"id": call.id or f"call_{next(self._ids)}"})

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
