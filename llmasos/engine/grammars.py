"""Grammars: what a text must follow, JSON that fits a schema or a regular expression.

A model's own library may silently drop what it does not understand, and the text would then follow
nothing. So a grammar is compiled here first, by the library that llama.cpp has inside too, and the
text that comes is followed. Pure; used by `validation.py` and `texts.py`.
"""

import json
from functools import lru_cache
from itertools import product
from string import ascii_lowercase
from typing import Any

from llguidance import LLMatcher, LLTokenizer

from llmasos.engine.refusals import Invalid
from llmasos.engine.schemas import Grammar

MAX_PATTERN = 4000
"""Characters of a regular expression."""
MAX_ITEMS = 10_000
"""What the arrays of a schema may count to in all: a grammar has a part for each item."""
_TOO_COMPLEX = "it is too complex: give it fewer alternatives, and smaller counts in braces"
_TRIAL_STEPS = 8
_COUNTS = ("minItems", "maxItems", "minProperties", "maxProperties")


def grammar_of(grammar: Grammar) -> str:
    """A grammar in llguidance's own language, which is Lark's with additions. Raises Invalid."""
    own = _pattern(grammar.value) if grammar.type == "regex" else _json(grammar)
    if fault := _fault(own):
        raise _refuse(fault)
    return own


class Follower:
    """Follows a text that comes in pieces along its grammar."""

    def __init__(self, grammar: str) -> None:
        self._matcher = LLMatcher(LLTokenizer("byte"), grammar, log_level=0)

    def takes(self, piece: str) -> bool:
        """Whether the text may go on like this."""
        raw = piece.encode()
        return bool(self._matcher.try_consume_tokens(list(raw)) == len(raw))

    def complete(self) -> bool:
        """Whether the text may end here."""
        return bool(self._matcher.is_accepting())


@lru_cache(maxsize=128)
def _fault(own: str) -> str:
    """What is wrong with a grammar in llguidance's language; empty where nothing is."""
    if reason := LLMatcher.validate_grammar(own, None):
        return _told(reason)
    return "" if _bearable(own) else _TOO_COMPLEX


def _bearable(own: str) -> bool:
    """Whether the first steps of a text stay within what the library allows for one.

    It counts its work, so a grammar never holds the model up for long; but once it has had enough
    the text has begun already.
    """
    matcher = LLMatcher(_trial_vocabulary(), own, log_level=0)
    for _ in range(_TRIAL_STEPS):
        allowed = int.from_bytes(matcher.compute_bitmask(), "little")
        if matcher.is_error():
            return False
        if not allowed or matcher.is_stopped():
            return True
        matcher.consume_token((allowed & -allowed).bit_length() - 1)
    return not matcher.is_error()


@lru_cache(maxsize=1)
def _trial_vocabulary() -> LLTokenizer:
    """Tokens much as a model has them: all bytes, short words, and runs of one letter."""
    letters = ascii_lowercase + " "
    words = [*(chr(each) * run for each in range(32, 127) for run in range(2, 17))]
    words += ["".join(each) for size in (2, 3) for each in product(letters, repeat=size)]
    tokens = dict.fromkeys([*(bytes([each]) for each in range(256)), *map(str.encode, words)])
    encoder = {token: number for number, token in enumerate(tokens)}
    end = len(encoder)
    made: LLTokenizer = LLTokenizer.from_tiktoken(  # type: ignore[attr-defined]  # undeclared
        encoder=encoder, special_tokens={"<|end|>": end}, pattern=r"(?s).", eos_token=end
    )
    return made


def _refuse(reason: str) -> Invalid:
    return Invalid(f"grammar is not valid: {reason}")


def _pattern(pattern: Any) -> str:
    if not isinstance(pattern, str) or not pattern:
        raise Invalid("grammar is not supported")
    if len(pattern) > MAX_PATTERN:
        raise _refuse(f"the expression has more than {MAX_PATTERN} characters")
    own: str = json.loads(LLMatcher.grammar_from_regex(pattern))["grammars"][0]["lark_grammar"]
    return own


def _json(grammar: Grammar) -> str:
    try:
        return f"start: %json {json.dumps(_schema(grammar))}"
    except RecursionError:
        raise _refuse("the schema is nested too deeply") from None


def _schema(grammar: Grammar) -> dict[str, Any]:
    """The JSON Schema that is asked for; any object where nothing more is said."""
    schema = grammar.value
    if grammar.type == "json_object" and schema is None:
        return {"type": "object"}
    if grammar.type == "json_schema":
        schema = schema.get("schema") if isinstance(schema, dict) else None
    if isinstance(schema, str):
        try:
            schema = json.loads(schema)
        except ValueError as error:
            raise _refuse(str(error)) from None
    if not isinstance(schema, dict):
        raise Invalid("grammar is not supported")
    if "properties" not in schema:
        raise _refuse("Grammar must have a 'properties' field")
    _check_counts(schema)
    return {"type": "object", **schema}


def _check_counts(schema: dict[str, Any]) -> None:
    """Refuse counts that would keep the model busy for minutes. Without recursion."""
    waiting, total = [schema], 0
    while waiting:
        part: Any = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
            counts = [part.get(keyword) for keyword in _COUNTS]
            total += max((count for count in counts if isinstance(count, int)), default=0)
            if total > MAX_ITEMS:
                raise _refuse(f"'maxItems' and the like add up to more than {MAX_ITEMS}")


def _told(reason: str) -> str:
    """The library's reason without the place in the grammar that we made."""
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    first = lines[0].partition("): ")[2] or lines[0]
    error = next((line for line in lines[1:] if line.startswith("error: ")), "")
    return f"{first} {error.removeprefix('error: ')}".strip()[:300]
