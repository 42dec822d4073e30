"""OpenAI's options in TGI's terms, and what is refused on the way."""

from typing import Any

import pytest

from llmasos.engine.chat_schemas import ChatRequest, CompletionRequest
from llmasos.engine.openai_parameters import chat_parameters, completion_parameters
from llmasos.engine.refusals import Refusal
from llmasos.engine.tool_grammar import tool_use
from llmasos.engine.validation import samples

TOOLS = [{"type": "function", "function": {"name": "f"}}]


def chat(**given: Any) -> ChatRequest:
    return ChatRequest.model_validate({"messages": [{"role": "user", "content": "Hi"}], **given})


def completion(**given: Any) -> CompletionRequest:
    return CompletionRequest.model_validate({"prompt": ["Hi"], **given})


def test_a_chat_at_temperature_zero_is_greedy_whatever_else_is_said() -> None:
    assert not samples(chat_parameters(chat(temperature=0.0, top_p=0.9)))
    assert samples(chat_parameters(chat()))


def test_one_stop_sequence_may_come_alone() -> None:
    assert chat_parameters(chat(stop="\n")).stop == ["\n"]


def test_stop_sequences_do_not_cut_a_call() -> None:
    body = chat(stop=["}"], tools=TOOLS)

    assert chat_parameters(body, tool_use(body.tools, "required")).stop == []
    assert chat_parameters(body).stop == ["}"]


@pytest.mark.parametrize(
    ("wanted", "kind", "value"),
    [
        ({"type": "json", "value": {"properties": {}}}, "json", {"properties": {}}),
        ({"type": "json_object", "value": {"properties": {}}}, "json_object", {"properties": {}}),
        ({"type": "json_object"}, "json_object", None),
        ({"type": "regex", "value": "a+"}, "regex", "a+"),
        ({"type": "json_schema", "value": {"schema": {}}}, "json_schema", {"schema": {}}),
        ({"type": "json_schema", "json_schema": {"schema": {}}}, "json_schema", {"schema": {}}),
    ],
)
def test_a_format_is_understood_in_tgis_form_and_in_openais(
    wanted: dict[str, Any], kind: str, value: Any
) -> None:
    grammar = chat_parameters(chat(response_format=wanted)).grammar

    assert grammar is not None
    assert (grammar.type, grammar.value) == (kind, value)


def test_text_is_no_format() -> None:
    assert chat_parameters(chat(response_format={"type": "text"})).grammar is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"messages": []}, "cannot be empty"),
        ({"n": 2}, "`n` != 1"),
        ({"logit_bias": {"5": 1}}, "`logit_bias`"),
        ({"guideline": "be nice"}, "`guideline`"),
        ({"top_logprobs": 2}, "needs `logprobs`"),
        ({"response_format": {"type": "xml"}}, "cannot be 'xml'. Known: text, json"),
        ({"response_format": {"type": "json_object"}, "tools": TOOLS}, "mutually exclusive"),
    ],
)
def test_what_cannot_be_done_in_a_chat_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(Refusal, match=said):
        chat_parameters(chat(**given))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n": 2}, "`n` != 1"),
        ({"best_of": 2}, "`best_of` != 1"),
        ({"echo": True}, "`echo`"),
        ({"logprobs": 0}, "`logprobs`"),
        ({"logit_bias": {"5": 1}}, "`logit_bias`"),
    ],
)
def test_what_cannot_be_done_in_a_completion_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(Refusal, match=said):
        completion_parameters(completion(**given))
