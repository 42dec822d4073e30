"""What the engine refuses, in TGI's words, and how it puts the rest in llama.cpp's terms."""

from typing import Any

import pytest

from llmasos.engine.grammars import schema_of
from llmasos.engine.refusals import Invalid
from llmasos.engine.schemas import ChatRequest, Grammar, Parameters
from llmasos.engine.serving import with_limits
from llmasos.engine.validation import Limits, chat_parameters, check, fit, samples
from llmasos.errors import SettingsError
from llmasos.settings import EngineSettings

LIMITS = Limits(input_tokens=10, total_tokens=16)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"temperature": 0.0}, "`temperature` must be strictly positive"),
        ({"temperature": float("nan")}, "`temperature` must be strictly positive"),
        ({"repetition_penalty": 0.0}, "`repetition_penalty` must be strictly positive"),
        ({"frequency_penalty": 2.5}, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
        ({"top_p": 1.0}, "`top_p` must be > 0.0 and < 1.0"),
        ({"typical_p": 0.0}, "`typical_p` must be > 0.0 and < 1.0"),
        ({"top_k": 0}, "`top_k` must be strictly positive"),
        ({"max_new_tokens": 0}, "`max_new_tokens` must be strictly positive"),
        ({"stop": list("abcde")}, "`stop` supports up to 4 stop sequences. Given: 5"),
        ({"top_n_tokens": 6}, "`top_n_tokens` must be >= 0 and <= 5. Given: 6"),
        ({"truncate": 11}, "`truncate` must be strictly positive and less than 10. Given: 11"),
        ({"best_of": 2}, "`best_of` != 1 is not allowed for this endpoint"),
        ({"watermark": True}, "`watermark` == true is not supported"),
        ({"adapter_id": "mine"}, "`adapter_id` is not supported"),
        ({"decoder_input_details": True}, "`decoder_input_details` == true is not supported"),
    ],
)
def test_a_wrong_parameter_is_refused_in_words_of_tgi(given: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check(Parameters(**given), LIMITS, stream=False)

    assert str(refusal.value).startswith(f"Input validation error: {said}")


def fitted(length: int, **given: Any) -> Any:
    return fit("x", list(range(length)), Parameters(**given), LIMITS, identified=False)


def test_a_prompt_that_is_too_long_is_refused() -> None:
    with pytest.raises(Invalid, match="`inputs` must have less than 10 tokens"):
        fitted(11, max_new_tokens=1)


def test_a_prompt_and_its_answer_must_fit_together() -> None:
    said = "must be <= 16. Given: 9 `inputs` tokens and 8 `max_new_tokens`"

    with pytest.raises(Invalid, match=said):
        fitted(9, max_new_tokens=8)


def test_truncation_keeps_the_end_of_the_prompt() -> None:
    assert fitted(40, truncate=4, max_new_tokens=1).tokens == [36, 37, 38, 39]


def test_without_a_length_the_answer_takes_what_is_left() -> None:
    assert fitted(9).max_new_tokens == 7


@pytest.mark.parametrize(
    ("given", "chance"),
    [
        ({}, False),
        ({"temperature": 1.0}, False),
        ({"temperature": 0.5}, True),
        ({"do_sample": True}, True),
        ({"top_k": 5}, True),
    ],
)
def test_chance_plays_a_part_exactly_when_it_does_in_tgi(
    given: dict[str, Any], chance: bool
) -> None:
    job = fitted(3, **given)

    assert samples(Parameters(**given)) is chance
    assert (job.sampling["temperature"] > 0) is chance
    assert (job.seed is not None) is chance


def chat(**given: Any) -> ChatRequest:
    return ChatRequest.model_validate({"messages": [{"role": "user", "content": "Hi"}], **given})


def test_a_chat_at_temperature_zero_is_greedy_whatever_else_is_said() -> None:
    assert not samples(chat_parameters(chat(temperature=0.0, top_p=0.9)))
    assert samples(chat_parameters(chat()))


@pytest.mark.parametrize(
    "given",
    [
        {"messages": []},
        {"n": 2},
        {"logit_bias": {"5": 1}},
        {"tools": [{"type": "function", "function": {"name": "f", "arguments": {}}}]},
        {"guideline": "be nice"},
        {"top_logprobs": 2},
    ],
)
def test_what_the_model_cannot_do_in_a_chat_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        chat_parameters(chat(**given))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"properties": {"a": {"type": "strin"}}},
        {"properties": {"a": {"$ref": "#/nowhere"}}},
        {"properties": {"a": {"$ref": "http://example.com/schema"}}},
        {"properties": {"a": {"not": {}}}},
        {"properties": {"a": {"type": "string", "pattern": "(?=x)"}}},
        {"properties": "a"},
        {"properties": {"a": {"type": "array", "items": {"minLength": "x"}}}},
        "{",
        [],
    ],
)
def test_a_schema_that_the_text_cannot_be_held_to_is_refused(schema: Any) -> None:
    with pytest.raises(Invalid, match="grammar is not"):
        schema_of(Grammar(type="json", value=schema))


def test_a_schema_nested_without_end_is_refused() -> None:
    schema: dict[str, Any] = {"properties": {}}
    for _ in range(5000):
        schema = {"properties": {"a": schema}}

    with pytest.raises(Invalid, match="nested deeper"):
        schema_of(Grammar(type="json", value=schema))


def test_a_recursive_schema_is_taken() -> None:
    node = {"properties": {"next": {"$ref": "#/$defs/node"}}, "required": []}

    assert schema_of(Grammar(type="json", value={**node, "$defs": {"node": node}}))


def test_a_smaller_total_alone_makes_room_for_an_answer() -> None:
    limited = with_limits(EngineSettings(), max_total_tokens=100)

    assert (limited.max_input_tokens, limited.max_total_tokens) == (99, 100)


@pytest.mark.parametrize(
    "given",
    [
        {"max_input_tokens": 100, "max_total_tokens": 100},
        {"max_total_tokens": 100_000},
        {"max_concurrent_requests": 0},
    ],
)
def test_limits_that_contradict_each_other_stop_the_start(given: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match=r"engine\.max_"):
        with_limits(EngineSettings(), **given)
