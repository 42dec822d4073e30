"""LLM: what people call, over a scripted engine."""

import subprocess
import sys
from typing import Any

import pytest

from llmasos import LLM, Message, Options
from llmasos.errors import (
    AnswerTooSlow,
    BatchFailed,
    EngineOverloaded,
    EngineUnavailable,
    InvalidRequest,
)
from llmasos.generation import ToolSpec, Usage
from llmasos.testing import ScriptedEngine, calls

WEATHER = ToolSpec(
    name="weather",
    description="The weather of a city.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}},
)


def test_a_text_is_generated_as_the_call_says() -> None:
    backend = ScriptedEngine(["round and blue"])

    text = LLM(backend).generate_text("The world is", temperature=0.5, stop=["."])

    assert text == "round and blue"
    assert backend.calls[0].options == Options(temperature=0.5, stop=(".",))


def test_max_length_counts_prompt_and_answer_together() -> None:
    backend = ScriptedEngine(["one two three four five six seven eight"])

    text = LLM(backend).generate_text("The world is", max_length=7)

    assert text == "one two three four"


def test_a_prompt_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="The prompt has 3 tokens, max_length is 3"):
        LLM(ScriptedEngine()).generate_text("The world is", max_length=3)


def test_only_one_length_may_be_given() -> None:
    with pytest.raises(InvalidRequest, match="max_length or max_new_tokens, not both"):
        LLM(ScriptedEngine()).generate_text("x", max_length=9, max_new_tokens=3)


@pytest.mark.parametrize(
    ("sampling", "temperature"),
    [({"top_p": 0.9}, 1.0), ({"top_k": 3}, 1.0), ({"top_p": 0.9, "temperature": 0}, 0.0)],
)
def test_sampling_without_a_temperature_is_no_greedy_text(sampling: Any, temperature: Any) -> None:
    backend = ScriptedEngine(["x"])

    LLM(backend).generate_text("x", **sampling)

    assert backend.calls[0].options.temperature == temperature


@pytest.mark.parametrize(
    "message",
    [Message(role="user", content="Hi"), {"role": "user", "content": "Hi"}, ("user", "Hi")],
)
def test_a_message_may_come_in_three_forms(message: Any) -> None:
    backend = ScriptedEngine(["Hello"])

    assert LLM(backend).chat([message]) == "Hello"
    assert backend.calls[0].messages == (Message(role="user", content="Hi"),)


@pytest.mark.parametrize("messages", [[], [("robot", "Hi")], [("user",)], [3], [{"role": "user"}]])
def test_a_conversation_that_makes_no_sense_is_refused(messages: Any) -> None:
    with pytest.raises(InvalidRequest):
        LLM(ScriptedEngine(["Hello"])).chat(messages)


@pytest.mark.parametrize("sampling", [{"temperature": 3}, {"heat": 1}, {"stop": list("abcde")}])
def test_a_wrong_option_is_named(sampling: Any) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(sampling))):
        LLM(ScriptedEngine(["Hello"])).chat([("user", "Hi")], **sampling)


def test_a_text_that_is_stopped_before_its_end_is_counted_too() -> None:
    usage = Usage()
    llm = LLM(ScriptedEngine(["one two three four"])).metered(usage)

    pieces = llm.stream_chat([("user", "Count to four")])
    assert [next(pieces), next(pieces)] == ["one", " two"]
    pieces.close()

    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 2)


def test_use_is_added_up_over_calls() -> None:
    usage = Usage()
    llm = LLM(ScriptedEngine(["one two", "three"])).metered(usage)

    llm.generate_text("a b c")
    first = usage.first_token_ms
    llm.chat([("user", "d")])

    assert (usage.prompt_tokens, usage.completion_tokens) == (4, 3)
    assert first is not None
    assert usage.first_token_ms == first


def test_many_prompts_are_answered_in_order_and_counted() -> None:
    usage = Usage()
    backend = ScriptedEngine(lambda messages: f"said {messages[0].content}")

    texts = LLM(backend, usage=usage).generate_text([f"p{n}" for n in range(40)])

    assert texts == [f"said p{n}" for n in range(40)]
    assert (usage.prompt_tokens, usage.completion_tokens) == (40, 80)
    assert usage.first_token_ms is not None


def test_many_conversations_are_answered_in_order() -> None:
    backend = ScriptedEngine(lambda messages: messages[-1].content.upper())

    answers = LLM(backend).chat([[("user", "a")], [("user", "b"), ("user", "c")]])

    assert answers == ["A", "C"]


def test_a_request_that_fails_does_not_lose_the_others() -> None:
    usage = Usage()
    overloaded = EngineOverloaded("http://e")
    backend = ScriptedEngine(lambda m: overloaded if m[0].content == "bad" else "fine")

    with pytest.raises(BatchFailed, match=r"2 of 4 .*number 1: The engine") as caught:
        LLM(backend, usage=usage).generate_text(["a", "bad", "", "b"])

    assert caught.value.results[0] == caught.value.results[3] == "fine"
    assert caught.value.failures[1] is overloaded
    assert isinstance(caught.value.failures[2], InvalidRequest)
    assert usage.completion_tokens == 2


def test_nothing_asked_is_nothing_answered() -> None:
    assert LLM(ScriptedEngine()).generate_text([]) == []


def test_an_answer_that_takes_too_long_is_stopped_and_counted() -> None:
    usage = Usage()
    backend = ScriptedEngine(["one two three"])
    stream = LLM(backend, usage=usage).stream_text("a b", timeout=0.3)

    assert next(stream) == "one"
    backend.hold()
    with pytest.raises(AnswerTooSlow, match=r"after 0\.3 s .* longer timeout"):
        next(stream)

    assert (usage.prompt_tokens, usage.completion_tokens) == (2, 1)


def test_a_reply_tells_the_tools_that_the_model_calls() -> None:
    usage = Usage()
    llm = LLM(ScriptedEngine([calls("weather", city="Rome"), "Sunny."]), usage=usage)
    talk = [Message(role="user", content="How is Rome?")]

    asked = llm.reply(talk, tools=[WEATHER])
    (call,) = asked.tool_calls
    told = Message(role="tool", content="sun", tool_call_id=call.id)
    answer = llm.reply([*talk, asked, told], tools=[WEATHER])

    assert (call.name, call.arguments) == ("weather", {"city": "Rome"})
    assert answer == Message(role="assistant", content="Sunny.")
    assert usage.completion_tokens == 3


def test_tools_do_not_get_lost_where_text_alone_is_given() -> None:
    with pytest.raises(InvalidRequest, match="use `reply`"):
        LLM(ScriptedEngine()).chat([("user", "x")], tools=[WEATHER])


def test_closing_a_stream_closes_it_at_the_engine() -> None:
    backend = ScriptedEngine(["one two three"])
    stream = LLM(backend).stream_text("x")

    assert next(stream) == "one"
    stream.close()

    assert backend.closed == 1


def test_an_engine_that_is_away_is_told_as_such() -> None:
    away = EngineUnavailable("http://127.0.0.1:1", "refused")

    with pytest.raises(EngineUnavailable):
        LLM(ScriptedEngine([away])).generate_text("x")


def test_defaults_can_be_changed() -> None:
    backend = ScriptedEngine(["x"])

    LLM(backend).with_options(Options(seed=7)).generate_text("x", max_new_tokens=3)

    assert backend.calls[0].options == Options(seed=7, max_new_tokens=3)


def test_importing_the_model_loads_nothing_heavy() -> None:
    heavy = ["torch", "fastapi", "langchain_core", "sqlalchemy", "xllamacpp", "text_generation"]
    code = f"import sys, llmasos.llm; print([n for n in {heavy!r} if n in sys.modules])"

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert loaded.stdout.strip() == "[]"
