"""Grammars: what a text must follow, JSON that fits a schema or a regular expression.

A model's own library may silently drop what it does not understand, and the text would then follow
nothing. So a grammar is compiled here first, by the library that llama.cpp has inside too, and the
text that comes is followed. Pure; used by `validation.py` and `texts.py`.
"""

import json
from typing import Any

from llguidance import LLMatcher, LLTokenizer

from llmasos.engine.refusals import Invalid
from llmasos.engine.schemas import Grammar

MAX_PATTERN = 4000
"""Characters of a regular expression."""
MAX_ITEMS = 10_000
"""What the arrays of a schema may count to in all: a grammar has a part for each item."""
_COUNTS = ("minItems", "maxItems", "minProperties", "maxProperties")


def grammar_of(grammar: Grammar) -> str:
    """A grammar in llguidance's own language, which is Lark's with additions. Raises Invalid."""
    own = _pattern(grammar.value) if grammar.type == "regex" else _json(grammar)
    if reason := LLMatcher.validate_grammar(own, None):
        raise _refuse(_told(reason))
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
