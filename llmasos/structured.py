"""Answers as values of a type: its JSON Schema for a grammar, the answer read, checked, repaired.

`LLM` asks through `Form.filled`, for a backend that holds the model to the schema as for one that
does not; the LangChain chat model takes the `Shape` alone. How a schema is made fit
for a grammar is in `schemas.py`. Knows nothing of servers.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from llmasos.errors import (
    AnswerCut,
    AnswerTooSlow,
    AnswerUnfit,
    EngineRejected,
    SchemaImpossible,
)
from llmasos.generation import Message, Options, Role
from llmasos.schemas import bounded, plain_schema

T = TypeVar("T")

TRIES = 3
"""How often a model is asked before its answer is given up."""
_CHARACTERS_A_TOKEN = 2.5
_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)
_WRAPPED = "answer"
_SHOWN = 400
"""Characters of a wrong answer that the model, or a person, is shown."""


@dataclass(frozen=True)
class Answer:
    """What a model said, and whether it was cut at its longest length."""

    text: str
    cut: bool


Ask = Callable[[tuple[str, ...], Options], Answer]
"""Asks the model. Its first argument goes on from what the person asked: the instruction, then by
turns an answer and what is wrong with it."""


class Shape:
    """What an answer must look like, as a model is told and a grammar is given it.

    described: its JSON Schema. name: what it is called in errors. Raises SchemaImpossible when no
    answer can fit it.
    """

    def __init__(self, described: Mapping[str, Any], name: str) -> None:
        plain = plain_schema(described, name)
        self.wraps = "properties" not in plain
        """Whether the answer is one field of an object, which the outermost part has to be."""
        self.schema = _wrapping(plain) if self.wraps else plain
        """Without references, and always an object."""

    @property
    def instruction(self) -> str:
        """What tells a model of the schema; the grammar alone would leave it guessing."""
        schema = json.dumps(self.schema, ensure_ascii=False)
        return f"Answer with JSON that follows this schema, and nothing else:\n{schema}"

    def grammar(self, max_new_tokens: int, *, fair: bool = False) -> dict[str, Any]:
        """The schema for a grammar, with bounds where it has none, so that answers end.

        fair: the answer is divided among all its texts, so that it is not cut; else each may take
        half of it, since some texts are long, but seldom all of them.
        """
        room = max_new_tokens * _CHARACTERS_A_TOKEN
        return bounded(self.schema, room if fair else room / 2, fair=fair)


class Form(Generic[T]):
    """A type that a model fills in.

    wanted: a Pydantic model, any type that Pydantic can validate, or a `TypeAdapter`.
    Raises SchemaImpossible when no JSON answer can fit it.
    """

    def __init__(self, wanted: type[T] | TypeAdapter[T]) -> None:
        self.name = getattr(wanted, "__name__", None) or "the schema"
        try:
            self._adapter = wanted if isinstance(wanted, TypeAdapter) else TypeAdapter(wanted)
            described = self._adapter.json_schema()
        except PydanticUserError as error:
            raise SchemaImpossible(self.name, error.message.splitlines()[0]) from error
        self.shape = Shape(described, self.name)

    def read(self, text: str) -> T:
        """The value that stands in an answer, words and marks around it left out.

        Raises ValueError, of which Pydantic's ValidationError is one, with what is wrong.
        """
        plain = _json_in(text)
        if self.shape.wraps and isinstance(plain, dict) and _WRAPPED in plain:
            plain = plain[_WRAPPED]
        return self._adapter.validate_json(json.dumps(plain))

    def filled(self, ask: Ask, options: Options) -> T:
        """The value, asked for up to `TRIES` times, each time with what was wrong before in view.

        Raises AnswerCut or AnswerUnfit when none came, and what `ask` raises.
        """
        asking = _Asking(ask, options)
        turns: tuple[str, ...] = (self.shape.instruction,)
        fair, wrong, answer = False, "", Answer("", cut=False)
        for _ in range(TRIES):
            answer = asking.answer(turns, self.shape.grammar(options.max_new_tokens, fair=fair))
            try:
                return self.read(answer.text)
            except ValueError as error:
                wrong = "it was cut: be brief" if answer.cut else _wrong(error)
            if not (answer.cut and asking.held):
                complaint = f"That does not fit: {wrong}. Answer again, with the JSON alone."
                turns = (self.shape.instruction, answer.text[:_SHOWN], complaint)
            elif fair:
                break
            fair = fair or answer.cut
        if answer.cut:
            raise AnswerCut(self.name, options.max_new_tokens)
        raise AnswerUnfit(self.name, TRIES, wrong, answer.text[:_SHOWN])


class _Asking:
    """Asks with a grammar until a backend refuses it, from then on without; all within a time."""

    def __init__(self, ask: Ask, options: Options) -> None:
        self._ask, self._options = ask, options
        self._started = time.monotonic()
        self.held = True
        """Whether the backend takes grammars, as far as is known."""

    def answer(self, turns: tuple[str, ...], grammar: dict[str, Any]) -> Answer:
        """The answer to these turns. Raises what `ask` raises."""
        if not self.held:
            return self._within_time(turns, None)
        try:
            return self._within_time(turns, grammar)
        except EngineRejected as refused:
            try:
                answer = self._within_time(turns, None)
            except EngineRejected:
                raise refused from None  # the grammar was not what it refused
            self.held = False
            return answer

    def _within_time(self, turns: tuple[str, ...], grammar: dict[str, Any] | None) -> Answer:
        """One answer, in what is left of the time for all of them."""
        whole, changes = self._options.timeout, dict[str, Any](json_schema=grammar)
        if whole is not None:
            left = whole - (time.monotonic() - self._started)
            if left <= 0:
                raise AnswerTooSlow(whole)
            changes["timeout"] = left
        try:
            return self._ask(turns, self._options.model_copy(update=changes))
        except AnswerTooSlow:
            raise AnswerTooSlow(whole or 0) from None


def continued(conversation: list[Message], turns: tuple[str, ...]) -> list[Message]:
    """A conversation that goes on with an instruction, an answer, what is wrong with it …"""
    *before, last = conversation
    if turns and last.role == "user":  # the instruction belongs to what is asked
        asked = Message(role="user", content=f"{last.content}\n\n{turns[0]}")
        conversation, turns = [*before, asked], turns[1:]
        roles: tuple[Role, ...] = ("assistant", "user")
    else:
        roles = ("user", "assistant")
    return [
        *conversation,
        *(Message(role=roles[n % 2], content=text) for n, text in enumerate(turns)),
    ]


def _wrapping(schema: dict[str, Any]) -> dict[str, Any]:
    """An object with one field."""
    return {
        "type": "object",
        "properties": {_WRAPPED: schema},
        "required": [_WRAPPED],
        "additionalProperties": False,
    }


def _json_in(text: str) -> Any:
    """The JSON of an answer that may have words or a fence around it. Raises ValueError."""
    fenced = _FENCE.search(text)
    inner = (fenced[1] if fenced else text).strip()
    starts = [at for mark in "{[" if (at := inner.find(mark)) >= 0]
    try:
        if not starts:
            return json.loads(inner)
        return json.JSONDecoder().raw_decode(inner, min(starts))[0]
    except ValueError:
        raise ValueError("it is not JSON") from None


def _wrong(error: ValueError) -> str:
    """What is wrong with an answer, in a line."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(
        f"{'.'.join(str(part) for part in each['loc']) or 'the answer'}: {each['msg']}"
        for each in error.errors(include_url=False, include_input=False)[:3]
    )
