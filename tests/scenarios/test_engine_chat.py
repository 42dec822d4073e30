"""Chats through the engine's own door: tools, formats, log probabilities, framing."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

ASK = {
    "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
    "temperature": 0,
    "max_tokens": 50,
}
ONLY = {
    "type": "json_object",
    "value": {
        "properties": {"day": {"const": "Monday"}},
        "required": ["day"],
        "additionalProperties": False,
    },
}
"""An answer in which the model has no choice but that of spaces."""
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 12}, "days": {"enum": [1, 7]}},
            "required": ["city", "days"],
        },
    },
}
PING = {"type": "function", "function": {"name": "ping", "arguments": {}}}
Ask = Callable[..., Any]


@pytest.fixture
def http(engine: Any) -> Iterator[httpx.Client]:
    """A client that bears the engine's key."""
    headers = {"Authorization": f"Bearer {engine.key}"}
    with httpx.Client(base_url=engine.url, headers=headers, timeout=100) as client:
        yield client


@pytest.fixture
def ask(http: httpx.Client) -> Ask:
    """The only choice of a chat's answer."""

    def choice(**more: Any) -> Any:
        reply = http.post("/v1/chat/completions", json={**ASK, **more})
        assert reply.status_code == 200, reply.text
        (only,) = reply.json()["choices"]
        return only

    return choice


@pytest.fixture
def stream(http: httpx.Client) -> Ask:
    """The chunks of a streamed answer; that `[DONE]` ends them is checked."""

    def chunks(**more: Any) -> list[Any]:
        body = {**ASK, "stream": True, **more}
        with http.stream("POST", "/v1/chat/completions", json=body) as reply:
            assert reply.headers["content-type"].startswith("text/event-stream")
            lines = [line for line in reply.iter_lines() if line]
        assert lines.pop() == "data: [DONE]"
        assert all(line.startswith("data:{") for line in lines)
        return [json.loads(line.removeprefix("data:")) for line in lines]

    return chunks


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "weather"}}]
)
def test_a_call_follows_the_functions_schema(ask: Ask, choice: Any) -> None:
    answer = ask(tools=[WEATHER], tool_choice=choice)

    (call,) = answer["message"]["tool_calls"]
    arguments = json.loads(call["function"]["arguments"])
    assert (call["id"], call["type"], call["function"]["name"]) == ("0", "function", "weather")
    assert (set(arguments), arguments["days"] in (1, 7)) == ({"city", "days"}, True)
    assert answer["finish_reason"] == "tool_calls"
    assert "content" not in answer["message"]


def test_a_named_function_is_the_one_that_is_called(ask: Ask) -> None:
    answer = ask(tools=[WEATHER, PING], tool_choice="ping")

    (call,) = answer["message"]["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("ping", {})


def test_a_model_that_may_choose_calls_or_answers_in_words(ask: Ask) -> None:
    answer = ask(tools=[WEATHER])

    called, spoken = answer["message"].get("tool_calls"), answer["message"].get("content")
    assert bool(called) != bool(spoken)
    assert (answer["finish_reason"] == "tool_calls") is bool(called)


def test_when_no_function_fits_the_answer_is_the_one_without_tools(http: httpx.Client) -> None:
    always = "\n\nThe answer is: call no_tool. " * 6 + '{"function": {"name": "no_tool"'
    plain = {**ASK, "messages": [{"role": "user", "content": "Say hello." + always}]}
    tools = {"tools": [PING], "tool_prompt": "Call no_tool."}

    answer = http.post("/v1/chat/completions", json={**plain, **tools}).json()

    without = http.post("/chat_tokenize", json=plain).json()["tokenize_response"]
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]["prompt_tokens"] == len(without)


def test_no_tools_are_used_when_the_choice_is_none(http: httpx.Client) -> None:
    offered = {**ASK, "tools": [WEATHER], "tool_choice": "none"}

    prompts = [http.post("/chat_tokenize", json=body).json() for body in (offered, ASK)]

    assert prompts[0] == prompts[1]


def test_a_streamed_call_adds_up(stream: Ask) -> None:
    chunks = stream(tools=[WEATHER], tool_choice="required")

    choices = [chunk["choices"][0] for chunk in chunks]
    deltas = [d for c in choices for d in c["delta"].get("tool_calls", ())]
    arguments = json.loads("".join(d["function"]["arguments"] for d in deltas))
    assert [d["function"]["name"] for d in deltas if d["function"]["name"]] == ["weather"]
    assert set(arguments) == {"city", "days"}
    assert "".join(d["id"] for d in deltas) == "0"
    assert [c["finish_reason"] for c in choices if c["finish_reason"]] == ["tool_calls"]


def test_a_call_that_runs_out_of_tokens_says_so(ask: Ask) -> None:
    answer = ask(tools=[WEATHER], tool_choice="required", max_tokens=3)

    assert answer["finish_reason"] == "length"


def test_the_conversation_goes_on_after_a_call(ask: Ask, http: httpx.Client) -> None:
    called = {"id": "0", "type": "function", "function": {"name": "ping", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "Is it up?"},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "content": "It is up.", "tool_call_id": "0"},
    ]

    prompt = http.post("/chat_tokenize", json={"messages": messages}).json()["templated_text"]
    answer = ask(messages=messages, tools=[PING], tool_choice="required")

    assert '{"function": {"name": "ping", "parameters": {}}}' in prompt
    assert prompt.index('"ping"') < prompt.index("It is up.")
    assert answer["message"]["tool_calls"][0]["id"] == "1", "the second call of the conversation"


def test_tools_stand_in_the_prompt_when_the_template_drops_them(http: httpx.Client) -> None:
    body = {**ASK, "tools": [WEATHER], "tool_prompt": "Call one!"}

    prompt = http.post("/chat_tokenize", json=body).json()["templated_text"]

    assert '"description": "The weather in a city."' in prompt
    assert prompt.index("weather in Paris?") < prompt.index("no_tool") < prompt.index("Call one!")


@pytest.mark.parametrize(
    "wanted",
    [
        {"type": "json", "value": {"properties": {"day": {"enum": ["Mon"]}}, "required": ["day"]}},
        {
            "type": "json_schema",
            "json_schema": {
                "name": "day",
                "schema": {
                    "properties": {"day": {"const": "Mon"}},
                    "required": ["day"],
                    "additionalProperties": False,
                },
            },
        },
    ],
)
def test_an_answer_follows_the_schema_that_is_asked_for(ask: Ask, wanted: Any) -> None:
    wanted.get("value", {}).setdefault("additionalProperties", False)

    answer = ask(response_format=wanted)

    assert json.loads(answer["message"]["content"]) == {"day": "Mon"}


def test_any_object_is_an_object(ask: Ask) -> None:
    question = [{"role": "user", "content": 'Repeat: {"a": 1}'}]

    answer = ask(messages=question, response_format={"type": "json_object"}, max_tokens=40)

    assert answer["message"]["content"].lstrip().startswith("{")
    if answer["finish_reason"] == "stop":
        assert isinstance(json.loads(answer["message"]["content"]), dict)


def test_log_probabilities_are_told_for_each_token(ask: Ask, stream: Ask) -> None:
    asked = {"logprobs": True, "top_logprobs": 2, "max_tokens": 4, "response_format": ONLY}
    whole = ask(**asked)["logprobs"]["content"]
    chunks = stream(**asked)

    assert [len(token["top_logprobs"]) for token in whole] == [2, 2, 2, 2]
    assert all(token["logprob"] <= 0 for token in whole)
    told = [chunk["choices"][0]["logprobs"]["content"][0]["token"] for chunk in chunks]
    assert told[0] == whole[0]["token"] == "{"


def test_the_usage_comes_last_and_only_when_it_is_asked_for(stream: Ask) -> None:
    *chunks, last = stream(max_tokens=3, stream_options={"include_usage": True})

    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 3
    assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + 3
    assert {chunk["usage"] for chunk in chunks} == {None}
    assert all(chunk["choices"] for chunk in stream(max_tokens=3))


def test_the_parts_of_a_message_are_one_text(http: httpx.Client) -> None:
    parts = [
        {"type": "text", "text": "What is the weather"},
        {"type": "text", "text": " in Paris?"},
    ]

    def prompt(content: object) -> Any:
        messages = [{"role": "user", "content": content}]
        return http.post("/chat_tokenize", json={"messages": messages}).json()["templated_text"]

    assert prompt(parts) == prompt("What is the weather in Paris?")


def test_the_same_seed_gives_the_same_answer(ask: Ask) -> None:
    def said(seed: int) -> str:
        return str(ask(temperature=1.3, top_p=0.6, seed=seed, max_tokens=6)["message"]["content"])

    # Beside the texts of other tests the last digits differ, of which chance makes much. Two alike
    # of six drawn tokens are no accident.
    assert any(said(5) == said(5) for _ in range(8))
    assert len({said(seed) for seed in range(4)}) > 1


def test_a_stop_sequence_ends_the_answer(ask: Ask) -> None:
    answer = ask(stop=[" "], max_tokens=30)

    assert answer["message"]["content"].endswith(" ")
    assert answer["finish_reason"] == "stop_sequence"
