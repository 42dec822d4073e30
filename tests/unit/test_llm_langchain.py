"""The LangChain chat model over a scripted engine."""

from typing import Any

import pytest
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from llmasos.chat_model import ChatLLM
from llmasos.errors import EngineUnavailable, InvalidRequest
from llmasos.generation import Message, Options, ToolCall
from llmasos.testing import ScriptedEngine, calls

AWAY = EngineUnavailable("http://e", "refused")


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"Sunny in {city}"


def test_it_answers_and_tells_its_use() -> None:
    backend = ScriptedEngine(["Fine, thanks"])

    answer = ChatLLM(backend=backend, seed=7).invoke(
        [SystemMessage("Be brief."), HumanMessage("How are you?")], temperature=0.5, max_tokens=9
    )

    assert answer.text == "Fine, thanks"
    assert answer.usage_metadata == {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    assert answer.response_metadata["model_name"] == "scripted"
    assert backend.calls[0].messages[0] == Message(role="system", content="Be brief.")
    assert backend.calls[0].options == Options(seed=7, temperature=0.5, max_new_tokens=9)


def test_a_call_may_name_another_model(monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = ScriptedEngine(["own", "own again"]), ScriptedEngine(["another", "once more"])
    asked: list[str] = []

    def backend_of(model: str, **_: object) -> ScriptedEngine:
        asked.append(model)
        return other

    monkeypatch.setattr("llmasos.pretrained.backend_of", backend_of)
    chat = ChatLLM(backend=own, model="plain")

    answers = [
        chat.invoke("Hello", model="strong").text,
        "".join(chunk.text for chunk in chat.bind(model="strong").stream("Hello")),
        chat.invoke("Hello", model="plain").text,
        chat.invoke("Hello").text,
    ]

    assert answers == ["another", "once more", "own", "own again"]
    assert asked == ["strong"]


def test_it_streams_and_stops() -> None:
    model = ChatLLM(backend=ScriptedEngine(["one two three"]))

    chunks = list(model.stream("count", stop=["three"]))

    assert [chunk.text for chunk in chunks if chunk.text] == ["one", " two", " "]
    assert chunks[-1].response_metadata["finish_reason"] == "stop_sequence"
    assert chunks[-1].usage_metadata is not None


async def test_it_streams_without_blocking_others() -> None:
    model = ChatLLM(backend=ScriptedEngine(["one two"]))

    assert "".join([chunk.text async for chunk in model.astream("count")]) == "one two"


def test_it_calls_tools_and_reads_what_they_gave() -> None:
    backend = ScriptedEngine([calls("weather", city="Rome"), "Sunny."])
    model = ChatLLM(backend=backend).bind_tools([weather])
    question = HumanMessage("How is Rome?")

    asked = model.invoke([question])
    told = weather.invoke(asked.tool_calls[0])
    answer = model.invoke([question, asked, told])

    assert asked.tool_calls[0]["args"] == {"city": "Rome"}
    assert answer.text == "Sunny."
    assert backend.calls[1].messages[1:] == (
        Message(
            role="assistant",
            content="",
            tool_calls=(ToolCall(id="call_1", name="weather", arguments={"city": "Rome"}),),
        ),
        Message(role="tool", content="Sunny in Rome", tool_call_id="call_1"),
    )


def test_tool_calls_come_in_a_stream_too() -> None:
    backend = ScriptedEngine([[calls("weather", city="Rome"), calls("weather", city="Bonn")]])
    model = ChatLLM(backend=backend).bind_tools([weather], tool_choice="any")

    first, *rest = model.stream("How are Rome and Bonn?")
    whole = sum(rest, first)

    assert isinstance(whole, AIMessage)
    assert [call["args"]["city"] for call in whole.tool_calls] == ["Rome", "Bonn"]
    assert backend.calls[0].options.tool_choice == "required"


@pytest.mark.parametrize(
    ("choice", "ours"),
    [
        (None, "auto"),
        (True, "required"),
        ("none", "none"),
        ("weather", "weather"),
        ({"type": "function", "function": {"name": "weather"}}, "weather"),
    ],
)
def test_a_choice_of_tools_may_come_in_any_of_langchains_forms(choice: Any, ours: str) -> None:
    bound = ChatLLM(backend=ScriptedEngine()).bind_tools([weather], tool_choice=choice)

    assert bound.kwargs["tool_choice"] == ours  # type: ignore[attr-defined]


def test_a_choice_that_names_no_tool_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="Did you mean 'weather'"):
        ChatLLM(backend=ScriptedEngine()).bind_tools([weather], tool_choice="whether")


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_it_answers_with_an_instance(method: Any) -> None:
    said = '{"name": "Ada", "age": 36}'
    answer: Any = said if method == "json_schema" else calls("Person", name="Ada", age=36)
    backend = ScriptedEngine([answer])

    model = ChatLLM(backend=backend).with_structured_output(Person, method=method)

    assert model.invoke("Who?") == Person(name="Ada", age=36)


def test_it_answers_by_a_schema_with_the_raw_message_and_the_error() -> None:
    backend = ScriptedEngine(["nonsense"])
    schema = {"title": "Person", "type": "object", "properties": {"name": {"type": "string"}}}

    answer = ChatLLM(backend=backend).with_structured_output(schema, include_raw=True).invoke("?")

    assert answer["raw"].text == "nonsense"
    assert isinstance(answer["parsing_error"], OutputParserException)
    assert "Answer with JSON" in backend.calls[0].messages[0].content
    assert backend.calls[0].options.json_schema is not None


def test_a_server_that_is_away_is_asked_again_as_often_as_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llmasos.chat_model._FIRST_PAUSE", 0.0)

    assert ChatLLM(backend=ScriptedEngine([AWAY, "x"]), max_retries=1).invoke("?").text == "x"
    with pytest.raises(EngineUnavailable):
        ChatLLM(backend=ScriptedEngine([AWAY, AWAY, "x"]), max_retries=1).invoke("?")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"temprature": 1}, "Did you mean 'temperature'"),
        ({"temperature": 3}, "Option temperature"),
        ({"backend": None}, "needs a model or a backend"),
    ],
)
def test_a_wrong_field_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        ChatLLM(**{"backend": ScriptedEngine(), **given})


def test_it_does_not_look_at_pictures() -> None:
    picture = {"type": "image_url", "image_url": {"url": "http://example.com/a.png"}}

    with pytest.raises(InvalidRequest, match="holds 'image_url'"):
        ChatLLM(backend=ScriptedEngine(["x"])).invoke([HumanMessage([picture])])


def test_a_failed_tool_is_told_to_the_model() -> None:
    backend = ScriptedEngine(["Sorry."])
    failed = ToolMessage("no such city", tool_call_id="1", status="error")

    ChatLLM(backend=backend).invoke([HumanMessage("?"), failed])

    assert backend.calls[0].messages[1].content == "no such city"
