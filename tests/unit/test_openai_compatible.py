"""OpenAI-compatible servers as backends: what is sent, and what is made of what comes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmasos.completions import chat_pieces, plain_message, text_pieces, tool_fields
from llmasos.errors import EngineMisconfigured, GenerationFailed
from llmasos.generation import Message, Options, Piece, ToolCall, ToolSpec
from llmasos.openai_compatible import OpenAIBackend, body_fields, chosen, estimated_tokens

ASK = [Message(role="user", content="Hi")]
WEATHER = ToolSpec(name="weather", description="The weather.", parameters={"type": "object"})


@pytest.fixture
def server(start_model_server: Callable[..., Any]) -> Any:
    return start_model_server("m", "openai")


@pytest.fixture
def backend(server: Any) -> Iterator[OpenAIBackend]:
    made = OpenAIBackend(f"{server.url}/v1")
    yield made
    made.close()


def events(*choices: dict[str, Any], usage: Any = None) -> Iterator[dict[str, Any]]:
    yield from ({"choices": [choice]} for choice in choices)
    yield {"choices": [], "usage": usage}


def test_a_chat_streams_and_tells_its_use(backend: OpenAIBackend, server: Any) -> None:
    *first, last = backend.chat(ASK, Options(max_new_tokens=3))

    assert [piece.text for piece in first] == ["m "] * 3
    assert last == Piece(text="", finish_reason="length", prompt_tokens=7, completion_tokens=3)
    assert (
        server.bodies()[0] | {"model": "m", "stream": True, "max_tokens": 3} == server.bodies()[0]
    )


def test_a_raw_prompt_goes_to_the_other_route(backend: OpenAIBackend, server: Any) -> None:
    texts = [piece.text for piece in backend.generate("Once", Options(max_new_tokens=2))]

    assert texts == ["m ", "m ", ""]
    assert server.seen()["seen"][-1]["path"] == "/v1/completions"
    assert server.bodies()[0]["prompt"] == "Once"


def test_a_tool_call_comes_whole_with_the_last_piece(backend: OpenAIBackend, server: Any) -> None:
    server.behave(tool="weather")
    options = Options(max_new_tokens=5, tools=(WEATHER,), tool_choice="weather")

    (last,) = backend.chat(ASK, options)

    assert last.finish_reason == "tool_calls"
    assert last.tool_calls == (ToolCall(id="call_7", name="weather", arguments={"city": "Bern"}),)
    sent = server.bodies()[0]
    assert sent["tools"] == [{"type": "function", "function": WEATHER.model_dump()}]
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


def test_a_schema_is_sent_as_the_protocol_has_it(backend: OpenAIBackend, server: Any) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    list(backend.chat(ASK, Options(json_schema=schema)))

    assert server.bodies()[0]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": True},
    }


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_a_choice_of_tools_keeps_its_word(choice: str) -> None:
    assert tool_fields(Options(tools=(WEATHER,), tool_choice=choice))["tool_choice"] == choice
    assert tool_fields(Options(tool_choice=choice)) == {}


def test_options_that_nobody_gave_are_not_sent() -> None:
    plain = body_fields(Options(temperature=0, top_p=0.5, top_k=4))

    assert plain.keys() == {"stream", "stream_options", "max_tokens", "temperature"}
    assert body_fields(Options(temperature=1, top_k=4))["top_k"] == 4


def test_calls_and_their_results_go_back_to_the_model() -> None:
    call = ToolCall(id="c1", name="weather", arguments={"city": "Zürich"})
    said = plain_message(Message(role="assistant", content="", tool_calls=(call,)))
    result = plain_message(Message(role="tool", content="sun", tool_call_id="c1"))

    function = {"name": "weather", "arguments": '{"city": "Zürich"}'}
    assert said == {
        "role": "assistant",
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
    }
    assert result == {"role": "tool", "content": "sun", "tool_call_id": "c1"}


def test_several_calls_are_told_apart_by_their_place() -> None:
    def part(index: int, **function: str) -> dict[str, Any]:
        call = {"index": index, "function": function}
        return {"delta": {"tool_calls": [call]}, "finish_reason": None}

    stream = events(
        part(0, name="a", arguments='{"x"'),
        part(1, name="b", arguments="{}"),
        part(0, arguments=": 1}"),
        {"delta": {}, "finish_reason": "tool_calls"},
    )

    (last,) = chat_pieces(stream, "http://s")

    assert [(c.id, c.name, c.arguments) for c in last.tool_calls] == [
        ("call_0", "a", {"x": 1}),
        ("call_1", "b", {}),
    ]


@pytest.mark.parametrize("arguments", ["{", "[1]", '"x"'])
def test_a_call_that_cannot_be_read_is_an_error(arguments: str) -> None:
    call = {"index": 0, "id": "1", "function": {"name": "a", "arguments": arguments}}
    stream = events({"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"})

    with pytest.raises(GenerationFailed, match="no JSON object"):
        list(chat_pieces(stream, "http://s"))


def test_a_stream_without_an_end_is_no_answer() -> None:
    with pytest.raises(GenerationFailed, match="broke off"):
        list(text_pieces(events({"text": "Hel", "finish_reason": None}), "http://s"))


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ({"finish_reason": "stop"}, "eos_token"),
        ({"finish_reason": "stop", "stop_reason": "END"}, "stop_sequence"),
        ({"finish_reason": "length"}, "length"),
    ],
)
def test_reasons_to_end_have_one_set_of_names(choice: dict[str, Any], reason: str) -> None:
    (last,) = text_pieces(events({"text": "", **choice}), "http://s")

    assert last.finish_reason == reason


def test_tokens_that_the_server_does_not_tell_are_counted_as_they_come() -> None:
    stream = events({"text": "a", "finish_reason": None}, {"text": "b", "finish_reason": "stop"})

    *_, last = text_pieces(stream, "http://s")

    assert last.completion_tokens == 2


def test_tokens_are_counted_by_the_server_or_else_estimated(backend: OpenAIBackend) -> None:
    assert backend.count_tokens("") == 0
    assert backend.count_tokens("one two three") == 3
    assert estimated_tokens("four words of English") == 7
    assert estimated_tokens("四个汉字") == 4


def test_the_model_and_its_limits_are_told(backend: OpenAIBackend) -> None:
    assert backend.info().model_dump() == {
        "model": "m",
        "max_input_tokens": 2999,
        "max_total_tokens": 3000,
    }


def test_where_several_models_are_served_one_must_be_named() -> None:
    served = [{"id": "a"}, {"id": "b"}]

    assert chosen(served, "b", "http://s") == {"id": "b"}
    with pytest.raises(EngineMisconfigured, match="model = one of a, b"):
        chosen(served, None, "http://s")
