"""The pool over real server processes, some of which are killed, hang, refuse or are slow."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from llmasos.errors import GenerationFailed, LLMasOSError
from llmasos.generation import Message, Options
from llmasos.pool import Fleet, Pool
from llmasos.settings import Settings

TEN = Options(max_new_tokens=10)


@pytest.fixture
def make_pool(make_settings: Callable[..., Settings]) -> Iterator[Callable[..., Pool]]:
    made: list[Pool] = []

    def make(servers: list[Any], toml: str = "") -> Pool:
        urls = [server.url for server in servers]
        pool = Fleet(make_settings(f"[llm]\nurls = {urls}\n{toml}")).pool()
        made.append(pool)
        return pool

    yield make
    for pool in made:
        pool.close()


@dataclass
class Outcome:
    """What came of one request."""

    text: str
    first: float
    error: Exception | None = None


def asked(pool: Pool, topic: int, options: Options = TEN) -> Outcome:
    """Ask one conversation; each topic is another."""
    text, first, begun = "", 0.0, time.monotonic()
    try:
        for piece in pool.chat([Message(role="user", content=f"Topic {topic}")], options):
            first = first or time.monotonic() - begun
            text += piece.text
    except LLMasOSError as error:
        return Outcome(text, first, error)
    return Outcome(text, first)


def load(pool: Pool, requests: int, at_once: int = 12) -> list[Outcome]:
    with ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(lambda topic: asked(pool, topic), range(requests)))


def p95(outcomes: list[Outcome]) -> float:
    waits = sorted(outcome.first for outcome in outcomes if outcome.first)
    return waits[int(len(waits) * 0.95)]


def whole(outcome: Outcome) -> bool:
    """Whether it is one server's answer, from its beginning to its end."""
    words = outcome.text.split()
    return len(words) == 5 and len(set(words)) == 1


@pytest.fixture
def make_servers(start_model_server: Callable[..., Any]) -> Callable[[int], list[Any]]:
    return lambda count: [start_model_server(f"server-{number}") for number in range(count)]


def test_all_servers_take_their_part(make_servers: Any, make_pool: Any) -> None:
    servers = make_servers(3)

    outcomes = load(make_pool(servers), 90)

    assert all(whole(outcome) for outcome in outcomes)
    assert min(len(server.bodies()) for server in servers) >= 10


def test_of_three_servers_one_is_killed_under_load(make_servers: Any, make_pool: Any) -> None:
    servers = make_servers(3)
    pool = make_pool(servers)
    for server in servers:
        server.behave(first=0.05)
    threading.Timer(0.4, servers[0].kill).start()

    outcomes = load(pool, 150)

    assert [o for o in outcomes if o.error and not o.text] == [], "lost before its first token"
    assert all(isinstance(o.error, GenerationFailed) for o in outcomes if o.error)
    assert all(whole(o) for o in outcomes if not o.error), "no answer is made of two halves"
    assert p95(outcomes) < 3


def test_a_killed_server_that_comes_back_is_used_again(
    make_servers: Any, make_pool: Any, start_model_server: Any
) -> None:
    servers = make_servers(2)
    pool = make_pool(servers)
    load(pool, 20)
    servers[0].kill()
    assert all(whole(outcome) for outcome in load(pool, 20))

    back = start_model_server("server-0", again=servers[0])
    until = time.monotonic() + 20
    while not back.bodies():
        assert time.monotonic() < until, "it is not used again"
        assert all(whole(outcome) for outcome in load(pool, 10))


def test_of_three_servers_one_hangs(make_servers: Any, make_pool: Any) -> None:
    servers = make_servers(3)
    pool = make_pool(servers)
    load(pool, 30)
    servers[0].process.send_signal(signal.SIGSTOP)

    outcomes = load(pool, 60)
    settled = load(pool, 60)
    servers[0].process.send_signal(signal.SIGCONT)

    assert all(whole(outcome) for outcome in outcomes)
    assert max(outcome.first for outcome in outcomes) < 15, "those it had are taken elsewhere"
    assert p95(settled) < 2, "it gets no more"
    until = time.monotonic() + 20
    before = len(servers[0].bodies())
    while len(servers[0].bodies()) == before:
        assert time.monotonic() < until, "it is not used again"
        load(pool, 10)


def test_a_server_that_asks_for_rest_gets_it(make_servers: Any, make_pool: Any) -> None:
    servers = make_servers(3)
    pool = make_pool(servers)
    servers[0].behave(refuse=429, retry_after="60")

    outcomes = load(pool, 60)

    assert all(whole(outcome) for outcome in outcomes)
    assert len(servers[0].seen()["seen"]) <= 12, "none but those that were on their way"
    assert p95(outcomes) < 2


def test_a_slow_server_is_left_aside(make_servers: Any, make_pool: Any) -> None:
    servers = make_servers(3)
    pool = make_pool(servers)
    servers[0].behave(first=4.0)

    load(pool, 30)
    outcomes = load(pool, 60)

    assert all(whole(outcome) for outcome in outcomes)
    assert p95(outcomes) < 2
