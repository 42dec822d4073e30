"""Answers as values of a type: asked with a grammar, checked, repaired, or refused."""

import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter, field_validator

from llmasos import LLM, Message, Options
from llmasos.errors import (
    AnswerCut,
    AnswerTooSlow,
    AnswerUnfit,
    BatchFailed,
    EngineRejected,
    InvalidRequest,
    SchemaImpossible,
)
from llmasos.generation import Usage
from llmasos.schemas import bounded, plain_schema
from llmasos.structured import Form
from llmasos.testing import ScriptedEngine

ASK = [("user", "Who is it?")]


class Person(BaseModel):
    name: str = Field(description="full name")
    age: int = Field(ge=0, le=150)


class Node(BaseModel):
    child: "Node | None"


class Team(BaseModel):
    lead: Person
    members: list[Person]


class Even(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def _even(cls, n: int) -> int:
        if n % 2:
            raise ValueError("must be even")
        return n


def test_an_answer_is_an_instance_and_was_asked_for_with_a_grammar() -> None:
    backend = ScriptedEngine([Person(name="Ada", age=36)])

    person = LLM(backend).chat(ASK, schema=Person)

    assert person == Person(name="Ada", age=36)
    (call,) = backend.calls
    assert call.options.json_schema is not None
    assert call.options.json_schema["required"] == ["name", "age"]
    assert "full name" in call.messages[-1].content


def test_a_prompt_is_continued_by_an_instance_too() -> None:
    backend = ScriptedEngine(['{"name": "Ada", "age": 36}'])

    person = LLM(backend).generate_text("A person:", schema=Person, max_length=400)

    assert person.age == 36
    shown = backend.calls[0].messages[0].content
    assert shown.startswith("A person:\n\nAnswer with JSON")
    assert backend.calls[0].options.max_new_tokens == 400 - len(shown.split())


@pytest.mark.parametrize(
    ("wanted", "said", "value"),
    [
        (list[int], '{"answer": [1, 2]}', [1, 2]),
        (Literal["yes", "no"], '{"answer": "yes"}', "yes"),
        (TypeAdapter(dict[str, float]), '{"answer": {"pi": 3.14}}', {"pi": 3.14}),
        (Annotated[int, Field(gt=3)], '{"answer": 4}', 4),
        (list[Person], '[{"name": "Ada", "age": 36}]', [Person(name="Ada", age=36)]),
        (bool, "true", True),
    ],
)
def test_any_type_that_pydantic_knows_may_be_asked_for(wanted: Any, said: str, value: Any) -> None:
    assert LLM(ScriptedEngine([said])).chat(ASK, schema=wanted) == value


@pytest.mark.parametrize(
    "said",
    [
        'Sure! {"name": "Ada", "age": 36} Anything else?',
        '```json\n{"name": "Ada", "age": 36}\n```',
    ],
)
def test_words_around_the_json_are_left_out(said: str) -> None:
    assert LLM(ScriptedEngine([said])).chat(ASK, schema=Person).name == "Ada"


def test_a_wrong_answer_is_repaired_with_the_error_in_view() -> None:
    usage = Usage()
    backend = ScriptedEngine(['{"n": 3}', '{"n": 4}'])

    even = LLM(backend, usage=usage).chat(ASK, schema=Even)

    assert even.n == 4
    *_, wrong, complaint = backend.calls[1].messages
    assert wrong == Message(role="assistant", content='{"n": 3}')
    assert "must be even" in complaint.content
    assert usage.completion_tokens == 4
    assert usage.prompt_tokens == sum(
        len(message.content.split()) for call in backend.calls for message in call.messages
    )


def test_answers_that_never_fit_are_an_error_with_what_came() -> None:
    backend = ScriptedEngine(lambda _: '{"name": "Ada", "age": 200}')

    with pytest.raises(AnswerUnfit, match=r"asked 3 times .* age: .* less than or equal to 150"):
        LLM(backend).chat(ASK, schema=Person)
    assert len(backend.calls) == 3


class NoGrammar(ScriptedEngine):
    """A server that takes no grammar."""

    def chat(self, messages: Sequence[Message], options: Options) -> Any:
        if options.json_schema:
            raise EngineRejected("grammars are not supported")
        return super().chat(messages, options)


def test_a_backend_without_grammars_is_asked_in_words_alone() -> None:
    backend = NoGrammar(["Ada is 36.", Person(name="Ada", age=36)])

    assert LLM(backend).chat(ASK, schema=Person).age == 36
    assert "it is not JSON" in backend.calls[1].messages[-1].content


def test_what_a_backend_rejects_for_another_reason_is_told_as_such() -> None:
    rejected = EngineRejected("too long")

    with pytest.raises(EngineRejected, match="too long"):
        LLM(ScriptedEngine([rejected, rejected])).chat(ASK, schema=Person)


def test_an_answer_that_is_cut_is_asked_for_again_with_less_room_for_each_text() -> None:
    long = json.dumps({"name": "a " * 60, "age": 3})
    backend = ScriptedEngine([long, '{"name": "a", "age": 3}'])

    assert LLM(backend).chat(ASK, schema=Person, max_new_tokens=40).name == "a"
    first, second = (call.options.json_schema or {} for call in backend.calls)
    lengths = [each["properties"]["name"]["maxLength"] for each in (first, second)]
    assert lengths == [50, 38]


def test_an_answer_that_stays_cut_is_said_plainly() -> None:
    with pytest.raises(AnswerCut, match=r"Person was cut at 3 tokens.*larger max_new_tokens"):
        LLM(ScriptedEngine(lambda _: '{"name": "a b c d"')).chat(
            ASK, schema=Person, max_new_tokens=3
        )


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (Node, "Node contains itself"),
        (Annotated[int, Field(ge=5, le=4)], "minimum 5 is above maximum 4"),
        (Annotated[str, Field(min_length=5, max_length=4)], "minLength 5 is above maxLength 4"),
        (Annotated[int, Field(gt=4, lt=5)], "minimum 5 is above maximum 4"),
        (Callable[[int], int], "Cannot generate a JsonSchema"),
    ],
)
def test_a_schema_that_nothing_can_meet_is_refused_before_anyone_is_asked(
    wanted: Any, reason: str
) -> None:
    backend = ScriptedEngine(["x"])

    with pytest.raises(SchemaImpossible, match=reason):
        LLM(backend).chat(ASK, schema=wanted)
    assert backend.calls == []


def test_a_schema_for_a_grammar_has_no_references_and_an_end() -> None:
    grammar = Form(Team).shape.grammar(100)

    text = json.dumps(grammar)
    assert "$ref" not in text
    assert "$defs" not in text
    members = grammar["properties"]["members"]
    assert members["maxItems"] == 16
    assert members["items"]["additionalProperties"] is False
    assert members["items"]["properties"]["name"]["maxLength"] == 125
    assert members["items"]["properties"]["age"]["maximum"] == 150


def test_bounds_that_a_schema_has_are_kept() -> None:
    text = {"type": "string", "minLength": 30, "maxLength": 40}

    assert bounded(text, 100, fair=False)["maxLength"] == 40
    assert bounded(text, 10, fair=True)["maxLength"] == 30


def test_what_a_grammar_cannot_hold_is_left_to_the_check() -> None:
    schema = {"type": "string", "pattern": "^a", "format": "date", "title": "T"}

    assert plain_schema(schema, "it") == {"type": "string"}


def test_the_time_is_for_all_tries_together() -> None:
    backend = ScriptedEngine(["x"])
    backend.hold()

    with pytest.raises(AnswerTooSlow, match=r"not complete after 0\.2 s"):
        LLM(backend).chat(ASK, schema=Person, timeout=0.2)


def test_many_instances_come_in_order_and_a_failure_keeps_the_others() -> None:
    def answer(messages: Sequence[Message]) -> Any:
        name = messages[0].content.split()[0]
        return "no" if name == "Nobody" else Person(name=name, age=1)

    with pytest.raises(BatchFailed, match="1 of 3 requests failed") as caught:
        LLM(ScriptedEngine(answer)).generate_text(["Ada", "Nobody", "Eve"], schema=Person)

    ada, unfit, eve = caught.value.results
    assert (ada.name, eve.name) == ("Ada", "Eve")
    assert isinstance(unfit, AnswerUnfit)
    assert list(caught.value.failures) == [1]


def test_a_schema_does_not_go_with_another_one() -> None:
    with pytest.raises(InvalidRequest, match="Give one of schema, json_schema and tools"):
        LLM(ScriptedEngine()).chat(ASK, schema=Person, json_schema={"properties": {}})
