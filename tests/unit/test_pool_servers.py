"""What the pool does with servers that are away, wrong, refuse or break off."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmasos.errors import (
    EngineError,
    EngineMisconfigured,
    EngineOverloaded,
    EngineRejected,
    EngineUnavailable,
    GenerationFailed,
    ModelUnavailable,
)
from llmasos.generation import Message, Options, Piece
from llmasos.pool import Fleet, Pool
from llmasos.processes import free_port
from llmasos.settings import Settings

ASK = [Message(role="user", content="Hi")]
SHORT = Options(max_new_tokens=10)
Make = Callable[..., Pool]
Start = Callable[..., Any]


@pytest.fixture
def make_pool(make_settings: Callable[..., Settings]) -> Iterator[Make]:
    """The pool of the default model over some backends; more settings of `[llm]` as TOML."""
    made: list[Fleet] = []

    def make(*backends: str, toml: str = "", alias: str | None = None, more: str = "") -> Pool:
        lines = ", ".join(each if each[0] == "{" else f'"{each}"' for each in backends)
        models = f"[llm.models.default]\nbackends = [{lines}]\n{more}"
        made.append(Fleet(make_settings(f"[llm]\nidle_timeout = 20\n{toml}\n{models}")))
        return made[-1].pool(alias)

    yield make
    for fleet in made:
        fleet.close()


def said(pool: Pool, options: Options = SHORT) -> str:
    return "".join(piece.text for piece in pool.chat(ASK, options)).strip()


def gather(pieces: Iterator[Piece], texts: list[str]) -> None:
    """Take the pieces in, as far as they come."""
    for piece in pieces:
        texts.append(piece.text)


def away() -> str:
    return f"http://127.0.0.1:{free_port()}"


def test_kinds_are_found_out(make_pool: Make, start_model_server: Start) -> None:
    tgi, openai = start_model_server("a"), start_model_server("b", "openai")

    infos = {make_pool(server.url).info().model for server in (tgi, openai)}
    texts = [said(make_pool(server.url)) for server in (tgi, openai)]

    assert infos == {"a", "b"}
    assert texts == ["a a a a a", "b b b b b"]


@pytest.mark.parametrize(
    ("kind", "said_to_be", "told"),
    [
        ("openai", 'kind = "tgi"', 'say kind = "openai" or leave kind out'),
        ("none", 'kind = "openai"', "/v1/models lists no model"),
        ("none", "", "Look at the address and the port"),
        ("openai", 'model = "mistal"', r"serves no model 'mistal'. Did you mean 'mistral'\?"),
    ],
)
def test_a_server_that_is_not_what_it_claims_is_told_as_such(
    make_pool: Make, start_model_server: Start, kind: str, said_to_be: str, told: str
) -> None:
    server = start_model_server("mistral", kind)
    backend = f'{{ url = "{server.url}", {said_to_be} }}' if said_to_be else server.url

    with pytest.raises(EngineMisconfigured, match=told) as caught:
        said(make_pool(backend))

    assert server.url in str(caught.value)


@pytest.mark.parametrize("kind", ["tgi", "openai"])
def test_a_key_is_sent_and_a_wrong_one_is_told_as_such(
    make_pool: Make, start_model_server: Start, kind: str
) -> None:
    server = start_model_server("m", kind)
    server.behave(key="right")

    assert said(make_pool(f'{{ url = "{server.url}", api_key = "right" }}')) == "m m m m m"
    with pytest.raises(EngineMisconfigured, match=r"does not take the key .* api_key"):
        said(make_pool(f'{{ url = "{server.url}", api_key = "wrong" }}'))


def test_a_server_set_up_wrongly_stops_nobody_while_another_answers(
    make_pool: Make, start_model_server: Start
) -> None:
    good, locked = start_model_server("good"), start_model_server("locked")
    locked.behave(key="secret")
    pool = make_pool(locked.url, away(), good.url)

    assert {said(pool) for _ in range(6)} == {"good good good good good"}


def test_an_address_where_nobody_answers_is_told_at_once(make_pool: Make) -> None:
    url, begun = away(), time.monotonic()

    with pytest.raises(EngineUnavailable, match=url):
        said(make_pool(url))

    assert time.monotonic() - begun < 3


def test_where_no_server_answers_each_is_told_of(make_pool: Make) -> None:
    urls = [away(), away()]

    with pytest.raises(ModelUnavailable) as caught:
        said(make_pool(*urls))

    assert all(url in str(caught.value) for url in urls)
    assert "llmasos models status" in str(caught.value)


def test_a_request_that_is_refused_is_not_sent_elsewhere(
    make_pool: Make, start_model_server: Start
) -> None:
    servers = [start_model_server(), start_model_server()]
    for server in servers:
        server.behave(refuse=422)

    with pytest.raises(EngineRejected):
        said(make_pool(*(server.url for server in servers)))

    assert sum(len(server.seen()["seen"]) for server in servers) == 1


def test_a_text_that_breaks_off_is_an_error_and_never_two_halves(
    make_pool: Make, start_model_server: Start
) -> None:
    servers = [start_model_server("a"), start_model_server("b")]
    for server in servers:
        server.behave(break_after=2)
    texts: list[str] = []

    with pytest.raises(GenerationFailed, match="broke off"):
        gather(make_pool(*(server.url for server in servers)).chat(ASK, SHORT), texts)

    assert len(texts) == 2
    assert len(set(texts)) == 1


def test_a_text_that_breaks_off_before_its_first_token_comes_from_another(
    make_pool: Make, start_model_server: Start
) -> None:
    good, bad = start_model_server("good"), start_model_server("bad")
    bad.behave(break_after=0)
    pool = make_pool(good.url, bad.url)

    assert {said(pool) for _ in range(4)} == {"good good good good good"}


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_for_a_moment_is_waited_for(
    make_pool: Make, start_model_server: Start, status: int
) -> None:
    server = start_model_server("m")
    pool = make_pool(server.url)
    said(pool)
    server.behave(refuse=status, retry_after="1")
    begun = time.monotonic()
    with pytest.raises(EngineOverloaded):
        said(make_pool(server.url, toml="patience = 0"))
    server.behave()

    assert said(pool) == "m m m m m"
    assert time.monotonic() - begun < 8


def test_a_server_that_asks_for_an_hour_is_not_waited_for(
    make_pool: Make, start_model_server: Start
) -> None:
    server, begun = start_model_server(), time.monotonic()
    server.behave(refuse=429, retry_after="3600")

    with pytest.raises(EngineOverloaded) as caught:
        said(make_pool(server.url))

    assert caught.value.retry_after > 3000
    assert time.monotonic() - begun < 5


def test_a_server_that_restarts_is_waited_for(make_pool: Make, start_model_server: Start) -> None:
    server = start_model_server("m")
    pool = make_pool(server.url)
    said(pool)
    server.kill()
    with pytest.raises(EngineError):
        said(pool, SHORT.model_copy(update={"timeout": 0.5}))
    start_model_server("again", again=server)

    assert said(pool) == "again again again again again"


def test_another_model_stands_in_when_no_server_of_its_own_answers(
    make_pool: Make, start_model_server: Start
) -> None:
    small = start_model_server("small")
    more = f'fallback = ["small"]\n[llm.models.small]\nbackends = ["{small.url}"]'

    assert said(make_pool(away(), away(), more=more)) == "small small small small small"


def test_an_answer_may_take_no_longer_than_its_timeout(
    make_pool: Make, start_model_server: Start
) -> None:
    server = start_model_server()
    server.behave(between=0.3, words=100)
    texts: list[str] = []
    begun = time.monotonic()

    with pytest.raises(GenerationFailed, match="did not finish within"):
        gather(make_pool(server.url).chat(ASK, Options(max_new_tokens=100, timeout=1.5)), texts)

    assert 1 < len(texts) < 10
    assert time.monotonic() - begun < 4


@pytest.mark.parametrize("toml", ["", "deadline = 1.0"])
def test_the_deadline_holds_over_all_servers(
    make_pool: Make, start_model_server: Start, toml: str
) -> None:
    servers = [start_model_server(f"s{n}") for n in range(2)]
    for server in servers:
        server.behave(first=30)
    options = SHORT if toml else SHORT.model_copy(update={"timeout": 1.0})
    begun = time.monotonic()

    with pytest.raises(ModelUnavailable, match="no answer within 1 s"):
        said(make_pool(*(server.url for server in servers), toml=toml), options)

    assert time.monotonic() - begun < 4


def test_closing_an_answer_stops_it_at_the_server(
    make_pool: Make, start_model_server: Start
) -> None:
    server = start_model_server()
    server.behave(between=0.05, words=1000)
    pieces = make_pool(server.url).chat(ASK, Options(max_new_tokens=1000))
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]

    until = time.monotonic() + 10
    while server.seen()["running"]:
        assert time.monotonic() < until, "it goes on"
        time.sleep(0.02)
    assert server.seen()["closed"] == 1


def test_a_follow_up_goes_to_the_server_that_knows_the_beginning(
    make_pool: Make, start_model_server: Start
) -> None:
    servers = [start_model_server(f"s{n}") for n in range(3)]
    pool = make_pool(*(server.url for server in servers))
    talk = list(ASK)
    answers = []
    for _ in range(4):
        answer = "".join(piece.text for piece in pool.chat(talk, SHORT))
        talk += [Message(role="assistant", content=answer), Message(role="user", content="More")]
        answers.append(answer)

    assert len(set(answers)) == 1


def test_limits_are_those_that_every_server_keeps(
    make_pool: Make, start_model_server: Start
) -> None:
    tgi, openai = start_model_server("a"), start_model_server("b", "openai")
    pool = make_pool(tgi.url, openai.url)
    for number in range(8):
        list(pool.chat([Message(role="user", content=str(number))], SHORT))

    assert (pool.info().max_input_tokens, pool.info().max_total_tokens) == (1000, 2000)
    assert pool.count_tokens("one two three") == 3
