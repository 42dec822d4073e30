"""Filters: which documents a search is about, by their path and metadata.

`{"lang": "de", "path": "guide/*", "kind": ["page", "faq"]}` means all three: the language is
German, the source begins with `guide/`, and the kind is one of two. A pattern has `*` (anything)
and `?` (one character); metadata that is a list holds if one of its items does. Becomes SQL over
`documents`; what is found there narrows the index as readers' rights do.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from llmasos.errors import InvalidRequest

Value = str | int | float | bool
Wanted = Mapping[str, Value | Sequence[Value]]
"""For each field the value or pattern that it must have, or several of which one is enough."""

FIELD = re.compile(r"[\w.-]{1,100}")
OWN = {"path": "source", "source": "source", "title": "title"}
"""Fields of every document; all others are its metadata."""
MOST_FIELDS = 20
MOST_VALUES = 200


@dataclass(frozen=True)
class Filter:
    """Conditions that a document must meet, all of them; none: every document does."""

    conditions: tuple[tuple[str, tuple[Value, ...]], ...] = ()

    @classmethod
    def of(cls, wanted: Wanted | None) -> Self:
        """The filter that a caller writes as a mapping. Raises InvalidRequest."""
        if wanted is None:
            return cls()
        if not isinstance(wanted, Mapping) or len(wanted) > MOST_FIELDS:
            raise InvalidRequest(f"A filter is at most {MOST_FIELDS} fields, each with its value.")
        return cls(tuple((_field(name), _values(name, wanted[name])) for name in sorted(wanted)))

    def __bool__(self) -> bool:
        return bool(self.conditions)

    def sql(self) -> tuple[str, list[Value]]:
        """A condition over the table `documents`, and its values."""
        clauses, values = ["1"], list[Value]()
        for field, wanted in self.conditions:
            if field in OWN:
                clauses.append(_any_of(OWN[field], wanted))
            else:
                inside = _any_of("value", wanted)
                clauses.append(f"EXISTS (SELECT 1 FROM json_each(metadata, ?) WHERE {inside})")
                values.append(f'$."{field}"')
            values += [_operand(each) for each in wanted]
        return " AND ".join(clauses), values


def _any_of(column: str, wanted: Sequence[Value]) -> str:
    tests = [f"{column} {'GLOB' if _is_pattern(each) else '='} ?" for each in wanted]
    return f"({' OR '.join(tests) or '0'})"


def _is_pattern(value: Value) -> bool:
    return isinstance(value, str) and ("*" in value or "?" in value)


def _operand(value: Value) -> Value:
    """As SQLite compares it: its patterns know classes `[…]`, ours do not."""
    return value.replace("[", "[[]") if isinstance(value, str) and _is_pattern(value) else value


def _field(name: object) -> str:
    if not isinstance(name, str) or not FIELD.fullmatch(name):
        raise InvalidRequest(
            f"'{name}' cannot be a filter's field: letters, digits, '_', '-' and '.' only."
        )
    return name


def _values(name: str, value: object) -> tuple[Value, ...]:
    given = (value,) if isinstance(value, Value) else value
    if (
        not isinstance(given, Sequence)
        or not all(isinstance(each, Value) for each in given)
        or len(given) > MOST_VALUES
    ):
        raise InvalidRequest(
            f"The filter's '{name}' must be a text, a number or true/false, or up to "
            f"{MOST_VALUES} of these of which one must hold."
        )
    return tuple(given)
