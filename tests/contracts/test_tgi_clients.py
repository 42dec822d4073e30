"""The engine as the official clients meet it: `text-generation` for TGI, `openai` for OpenAI's API.

Both send and read every field in their own types, so a field of the wrong shape fails here.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pydantic
import pytest
from text_generation import AsyncClient, Client
from text_generation.errors import ValidationError
from text_generation.types import Grammar, Message, Tool

ASK = [Message(role="user", content="Name three colours.")]
PING = Tool(type="function", function={"name": "ping", "parameters": {"type": "object"}})
SCHEMA = {"properties": {"n": {"enum": [1, 2]}}, "required": ["n"], "additionalProperties": False}
COUNT = "0, 1, 2, 3, 4, 5, 6, 7, 8,"
"""So certain to go on as it does that what else the engine computes makes no difference."""
FORCED = {
    "properties": {"hi": {"const": "Hello there."}},
    "required": ["hi"],
    "additionalProperties": False,
}
"""An answer in which the model has no choice but that of spaces."""

pytestmark = [  # all are the client's own doing
    pytest.mark.filterwarnings("ignore:The `dict` method is deprecated"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def tgi(engine: Any) -> Client:
    return Client(engine.url, headers={"Authorization": f"Bearer {engine.key}"}, timeout=100)


@pytest.fixture
def tgi_async(engine: Any) -> AsyncClient:
    return AsyncClient(engine.url, headers={"Authorization": f"Bearer {engine.key}"}, timeout=100)


@pytest.fixture
def open_ai(engine: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{engine.url}/v1", api_key=engine.key, max_retries=0) as client:
        yield client


def test_generate_takes_all_that_the_client_can_say(tgi: Client) -> None:
    answer = tgi.generate(
        "The world is",
        do_sample=True,
        max_new_tokens=3,
        repetition_penalty=1.1,
        frequency_penalty=0.1,
        return_full_text=True,
        seed=7,
        stop_sequences=["zzz"],
        temperature=0.9,
        top_k=40,
        top_p=0.9,
        truncate=100,
        typical_p=0.95,
        decoder_input_details=True,
        top_n_tokens=2,
    )

    assert answer.generated_text.startswith("The world is ")
    assert (answer.details.generated_tokens, answer.details.seed) == (3, 7)
    assert [len(top) for top in answer.details.top_tokens or []] == [2, 2, 2]
    assert [token.logprob is None for token in answer.details.prefill] == [True, False, False]


def test_the_best_of_two_comes_with_the_other(tgi: Client) -> None:
    answer = tgi.generate("The world is", best_of=2, do_sample=True, max_new_tokens=2)

    assert len(answer.details.best_of_sequences or []) == 1


@pytest.mark.parametrize(
    ("grammar", "texts"),
    [
        (Grammar(type="json", value=SCHEMA), ({"n": 1}, {"n": 2})),
        (Grammar(type="regex", value="[12]"), (1, 2)),
    ],
)
def test_a_grammar_is_followed(tgi: Client, grammar: Grammar, texts: Any) -> None:
    answer = tgi.generate("A number: ", max_new_tokens=40, grammar=grammar)

    assert json.loads(answer.generated_text) in texts


def test_a_stream_ends_with_the_whole_text(tgi: Client) -> None:
    *first, last = tgi.generate_stream("The world is", max_new_tokens=3, top_n_tokens=1)

    assert last.generated_text == "".join(each.token.text for each in [*first, last])
    assert last.details is not None
    assert last.details.generated_tokens == 3


def test_a_chat_is_answered(tgi: Client) -> None:
    answer = tgi.chat(ASK, max_tokens=3, temperature=0.5, seed=1, logprobs=True, top_logprobs=1)

    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage["completion_tokens"] == 3


def test_a_chat_calls_a_tool(tgi: Client) -> None:
    answer = tgi.chat(ASK, max_tokens=40, tools=[PING], tool_choice="ping")

    (call,) = answer.choices[0].message.tool_calls
    assert call["function"]["name"] == "ping"


def test_a_refusal_reaches_the_caller_as_the_clients_own_error(tgi: Client) -> None:
    with pytest.raises(ValidationError, match="`max_new_tokens` must be <="):
        tgi.generate("x", max_new_tokens=5000)


def test_its_chat_stream_cannot_be_read_from_any_tgi_3_server(tgi: Client) -> None:
    """It wants `tool_calls` in every delta; TGI's contract has it in those of calls alone, and
    takes no delta that has both it and `content`. Then it falls over its own way to say so.
    """
    with pytest.raises(AttributeError) as fallen:
        next(iter(tgi.chat(ASK, max_tokens=2, stream=True)))

    assert isinstance(fallen.value.__context__, pydantic.ValidationError)
    assert "tool_calls\n  Field required" in str(fallen.value.__context__)


def test_the_asynchronous_client_is_served_alike(tgi: Client, tgi_async: AsyncClient) -> None:
    async def ask() -> tuple[Any, list[Any], Any]:
        whole = await tgi_async.generate(COUNT, max_new_tokens=3)
        stream = tgi_async.generate_stream(COUNT, max_new_tokens=3)
        events = [event async for event in stream]
        return whole, events, await tgi_async.chat(ASK, max_tokens=2)

    whole, events, chat = asyncio.run(ask())

    assert whole.generated_text == tgi.generate(COUNT, max_new_tokens=3).generated_text
    assert events[-1].generated_text == whole.generated_text
    assert chat.usage["completion_tokens"] == 2


def test_its_asynchronous_chat_stream_fails_in_the_same_way(tgi_async: AsyncClient) -> None:
    async def first() -> None:
        stream: AsyncIterator[Any] = await tgi_async.chat(ASK, max_tokens=2, stream=True)
        await anext(stream)

    with pytest.raises(KeyError) as fallen:
        asyncio.run(first())

    assert "tool_calls\n  Field required" in str(fallen.value.__context__)


def test_openais_client_lists_the_model(open_ai: openai.OpenAI) -> None:
    assert [model.id for model in open_ai.models.list()] == ["smollm2-135m-instruct"]


def test_openais_client_chats(open_ai: openai.OpenAI) -> None:
    told = {"model": "tgi", "messages": [{"role": "user", "content": "Say hi."}], "max_tokens": 60}
    told["response_format"] = {
        "type": "json_schema",
        "json_schema": {"name": "hi", "schema": FORCED},
    }

    whole = open_ai.chat.completions.create(**told, temperature=0)
    stream = open_ai.chat.completions.create(
        **told, temperature=0, stream=True, stream_options={"include_usage": True}
    )

    *chunks, last = stream
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert json.loads(text) == json.loads(whole.choices[0].message.content or "")
    assert last.usage is not None
    assert whole.usage is not None
    assert last.usage.prompt_tokens == whole.usage.prompt_tokens
    assert last.usage.completion_tokens == len(chunks)


def test_openais_client_gets_calls_streamed_and_whole(open_ai: openai.OpenAI) -> None:
    weather = {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Oslo", "Rome"]}},
            "required": ["city"],
        },
    }
    told = {
        "model": "tgi",
        "messages": [{"role": "user", "content": "The weather in Rome?"}],
        "tools": [{"type": "function", "function": weather}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "temperature": 0,
    }

    whole = open_ai.chat.completions.create(**told)
    with open_ai.chat.completions.stream(**told) as stream:
        streamed = stream.get_final_completion()

    (call,) = whole.choices[0].message.tool_calls or []
    assert json.loads(call.function.arguments)["city"] in ("Oslo", "Rome")
    (same,) = streamed.choices[0].message.tool_calls or []
    assert (same.id, same.function.name) == (call.id, call.function.name)
    assert json.loads(same.function.arguments)["city"] in ("Oslo", "Rome")
    assert streamed.choices[0].finish_reason == "tool_calls"


def test_openais_client_parses_a_format(open_ai: openai.OpenAI) -> None:
    class Answer(pydantic.BaseModel):
        sure: bool

    answer = open_ai.chat.completions.parse(
        model="tgi",
        messages=[{"role": "user", "content": "Are you sure?"}],
        response_format=Answer,
        temperature=0,
    )

    assert isinstance(answer.choices[0].message.parsed, Answer)


def test_openais_client_completes_prompts(open_ai: openai.OpenAI) -> None:
    told = {"model": "tgi", "prompt": ["One, two,", "A, B,"], "max_tokens": 2, "temperature": 0}

    whole = open_ai.completions.create(**told)
    stream = list(open_ai.completions.create(**told, stream=True))

    assert [choice.index for choice in whole.choices] == [0, 1]
    for choice in whole.choices:
        pieces = [each.choices[0] for each in stream if each.choices[0].index == choice.index]
        assert "".join(piece.text for piece in pieces) == choice.text


def test_a_refusal_reaches_openais_client_with_its_reason(open_ai: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        open_ai.chat.completions.create(
            model="tgi", messages=[{"role": "user", "content": "Hi"}], n=2
        )

    assert refused.value.body == "Input validation error: `n` != 1 is not supported by this server"
