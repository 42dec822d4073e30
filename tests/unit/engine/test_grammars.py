"""Grammars: which are taken, which are refused and why, and following a text along one."""

from typing import Any

import pytest

from llmasos.engine.grammars import Follower, grammar_of
from llmasos.engine.refusals import Invalid
from llmasos.engine.schemas import Grammar

PERSON = {
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def follower(kind: Any, value: Any) -> Follower:
    return Follower(grammar_of(Grammar(type=kind, value=value)))


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "object"}, "must have a 'properties' field"),
        ({"properties": {"a": {"type": "strin"}}}, "Invalid type: strin"),
        ({"properties": {"a": {"$ref": "#/nowhere"}}}, "'/nowhere' does not exist"),
        ({"properties": {"a": {"$ref": "http://example.com/schema"}}}, "example.com"),
        ({"properties": {"a": {"not": {}}}}, "not"),
        ({"properties": {"a": {"type": "string", "pattern": "(?=x)"}}}, "look-ahead"),
        ({"properties": "a"}, ""),
        ({"properties": {"a": {"type": "array", "items": {"minLength": "x"}}}}, "minLength"),
        (
            {
                "properties": {"a": {"type": "integer", "minimum": 3, "maximum": 1}},
                "required": ["a"],
            },
            "Unsatisfiable schema: required property 'a'",
        ),
        ("{", ""),
        ([], ""),
    ],
)
def test_a_schema_that_a_text_cannot_be_held_to_is_refused(schema: Any, said: str) -> None:
    with pytest.raises(Invalid, match="grammar is not") as refusal:
        grammar_of(Grammar(type="json", value=schema))

    assert said in str(refusal.value)


@pytest.mark.parametrize("pattern", ["(", "a(?=b)", r"(a)\1", "[z-a]", "", None, "x" * 5000])
def test_an_expression_that_a_text_cannot_be_held_to_is_refused(pattern: Any) -> None:
    with pytest.raises(Invalid, match="grammar is not"):
        grammar_of(Grammar(type="regex", value=pattern))


@pytest.mark.parametrize(
    "pattern",
    [
        "(((.{0,30}a?){0,30}b?){0,30}c?){0,30}",
        "".join(f"({letter}?.?)" for letter in "abcdefghijklmnopqrstuvwxyz" * 6),
        "(a?){900}a{900}",
        "[^a]*[^b]*[^c]*[^d]*[^e]*[^f]*[^g]*[^h]*[^i]*[^j]*" * 30,
    ],
)
def test_an_expression_that_would_hold_the_model_up_is_refused_with_what_to_do(
    pattern: str,
) -> None:
    with pytest.raises(
        Invalid, match="too complex: give it fewer alternatives, and smaller counts"
    ):
        grammar_of(Grammar(type="regex", value=pattern))


def test_a_schema_nested_without_end_is_refused() -> None:
    schema: dict[str, Any] = {"properties": {}}
    for _ in range(5000):
        schema = {"properties": {"a": schema}}

    with pytest.raises(Invalid, match="grammar is not valid"):
        grammar_of(Grammar(type="json", value=schema))


def test_a_recursive_schema_is_taken() -> None:
    node = {"properties": {"next": {"$ref": "#/$defs/node"}}, "required": []}

    nested = follower("json", {**node, "$defs": {"node": node}})

    assert nested.takes('{"next":{"next":{}}}')
    assert nested.complete()


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("json", PERSON, '{"name":"世界 😀","age":3}'),
        ("json", '{"properties":{"a":{"const":1}},"required":["a"]}', '{"a":1}'),
        ("json_schema", {"name": "x", "schema": PERSON}, '{"name":"","age":0}'),
        ("json_object", None, '{"any":[1,null]}'),
        ("regex", '[0-9]{2}/"[a-f]+"\n', '12/"ab"\n'),
        ("regex", "(你好|再见)+", "你好再见"),
    ],
)
def test_a_text_that_fits_is_followed_to_its_end(kind: Any, value: Any, text: str) -> None:
    follows = follower(kind, value)

    taken = [follows.takes(character) for character in text]

    assert all(taken)
    assert follows.complete()


@pytest.mark.parametrize("text", ["Hello", '{"name":"x","age":-1', '{"age":1', '{"name":1'])
def test_a_text_that_leaves_its_grammar_is_noticed(text: str) -> None:
    assert not follower("json", PERSON).takes(text)


def test_a_text_that_stops_too_soon_is_not_complete() -> None:
    follows = follower("json", PERSON)

    assert follows.takes('{"name":"x"')
    assert not follows.complete()


@pytest.mark.parametrize("keyword", ["minItems", "maxItems", "minProperties"])
def test_a_schema_that_counts_without_end_is_refused(keyword: str) -> None:
    schema = {"properties": {"a": {"type": "array", "items": {keyword: 10**9}}}}

    with pytest.raises(Invalid, match="add up to more than 10000"):
        grammar_of(Grammar(type="json", value=schema))
