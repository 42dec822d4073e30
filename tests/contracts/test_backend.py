"""The contract of text generation: every `Backend` passes it, the scripted and the real one."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmasos.errors import EngineRejected, EngineUnavailable
from llmasos.generation import Backend, Message, Options, Piece
from llmasos.openai_compatible import OpenAIBackend
from llmasos.pool import Pool, connect
from llmasos.processes import free_port
from llmasos.testing import ScriptedEngine
from llmasos.tgi import TGIBackend

ASK = [Message(role="user", content="Count from one to five.")]
SHORT = Options(max_new_tokens=12)
FIVE = "One, two, three, four, five."
COUNTED = "one, two, three, four, five, " * 4
"""So certain to go on as it does that what else the engine computes makes no difference."""


@pytest.fixture(params=["scripted", "tgi", "openai", "pool"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each implementation, ready to answer."""
    if request.param == "scripted":
        yield ScriptedEngine(lambda _: FIVE)
        return
    made: TGIBackend | OpenAIBackend | Pool
    if request.param == "openai":
        server = request.getfixturevalue("start_model_server")("m", "openai")
        server.behave(text=FIVE)
        made = OpenAIBackend(server.url)
    else:
        engine = request.getfixturevalue("engine")
        made = TGIBackend(engine.url, key=engine.key)
        if request.param == "pool":
            toml = f'[llm]\nurls = ["{engine.url}"]\napi_key = "{engine.key}"'
            made = connect(request.getfixturevalue("make_settings")(toml))
    yield made
    made.close()


def text_of(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


Ask = Callable[[Backend, Options], Iterator[Piece]]
EITHER: list[Any] = [
    pytest.param(lambda b, o: b.chat(ASK, o), id="chat"),
    pytest.param(lambda b, o: b.generate(COUNTED, o), id="generate"),
]


@pytest.mark.parametrize("ask", EITHER)
def test_a_text_comes_in_pieces_and_the_last_one_has_the_counts(backend: Backend, ask: Ask) -> None:
    pieces = list(ask(backend, SHORT))

    *first, last = pieces
    assert len(first) > 1
    assert text_of(pieces).strip()
    assert all(piece.finish_reason is None for piece in first)
    assert last.finish_reason in ("length", "eos_token")
    assert last.prompt_tokens > 0
    assert 0 < last.completion_tokens <= 12


@pytest.mark.parametrize("ask", EITHER)
def test_a_text_is_no_longer_than_it_may_be(backend: Backend, ask: Ask) -> None:
    last = list(ask(backend, Options(max_new_tokens=3)))[-1]

    assert (last.finish_reason, last.completion_tokens) == ("length", 3)


@pytest.mark.parametrize("ask", EITHER)
def test_greedy_says_the_same_twice(backend: Backend, ask: Ask) -> None:
    def text() -> str:
        return text_of(list(ask(backend, SHORT)))

    # Other tests may ask the same engine, see below; chance would seldom say the same.
    assert any(text() == text() for _ in range(4))


@pytest.mark.parametrize("ask", EITHER)
def test_a_stop_sequence_ends_the_text_and_is_not_part_of_it(backend: Backend, ask: Ask) -> None:
    held = {"properties": {"told": {"const": "one, two"}}, "required": ["told"]}
    options = Options(max_new_tokens=30, stop=(", ",), json_schema=held)

    pieces = list(ask(backend, options))

    assert ", " not in text_of(pieces)
    assert pieces[-1].finish_reason == "stop_sequence"


@pytest.mark.parametrize("ask", EITHER)
def test_closing_it_early_leaves_the_backend_in_order(backend: Backend, ask: Ask) -> None:
    pieces = ask(backend, Options(max_new_tokens=200))
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]

    assert text_of(list(ask(backend, SHORT)))


def test_tokens_are_counted(backend: Backend) -> None:
    assert backend.count_tokens("") == 0
    assert backend.count_tokens("one two three") == 3


def test_the_model_and_its_limits_are_told(backend: Backend) -> None:
    info = backend.info()

    assert info.model
    assert 0 < info.max_input_tokens < info.max_total_tokens


@pytest.fixture
def tgi(engine: Any) -> Iterator[TGIBackend]:
    """The real one, for what a script cannot show."""
    backend = TGIBackend(engine.url, key=engine.key)
    yield backend
    backend.close()


@pytest.mark.parametrize("ask", EITHER)
def test_a_seed_makes_chance_repeatable(tgi: TGIBackend, ask: Ask) -> None:
    def sampled(seed: int) -> str:
        options = Options(max_new_tokens=6, temperature=1.0, top_k=8, seed=seed)
        return text_of(list(ask(tgi, options)))

    # Other tests may ask the same engine: what is computed in one batch with others differs in the
    # last digits, which chance makes much of among unlikely tokens.
    assert any(sampled(1) == sampled(1) for _ in range(8))
    assert len({sampled(seed) for seed in range(4)}) > 1


@pytest.mark.parametrize("ask", EITHER)
def test_a_schema_is_followed(tgi: TGIBackend, ask: Ask) -> None:
    schema = {"properties": {"n": {"type": "integer", "maximum": 9}}, "required": ["n"]}
    schema["additionalProperties"] = False  # type: ignore[assignment]

    text = text_of(list(ask(tgi, Options(max_new_tokens=40, json_schema=schema))))

    assert list(json.loads(text)) == ["n"]


def test_a_chat_takes_options_that_the_chat_route_lacks(tgi: TGIBackend) -> None:
    options = SHORT.model_copy(update={"repetition_penalty": 1.3})

    assert text_of(list(tgi.chat(ASK, options))) != ""


def test_a_prompt_that_is_too_long_is_rejected(tgi: TGIBackend) -> None:
    with pytest.raises(EngineRejected, match=r"`max_new_tokens` must be <= 2048"):
        list(tgi.generate("word " * 3000, SHORT))


def test_a_wrong_key_is_told_as_such(engine: Any) -> None:
    backend = TGIBackend(engine.url, key="wrong")

    with pytest.raises(EngineRejected, match=r"set llm\.api_key"):
        list(backend.generate("x", SHORT))
    backend.close()


def test_an_engine_that_is_away_is_told_as_such() -> None:
    backend = TGIBackend(f"http://127.0.0.1:{free_port()}")

    with pytest.raises(EngineUnavailable):
        backend.info()
    backend.close()
