"""Rates: every implementation allows no more than it should; what must be done goes first."""

import os
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from llmasos.processes import free_port
from llmasos.rates import MemoryRates, Rate, Rates, RedisRates, open_rates

LONG = 600.0
"""Seconds that no test takes."""


@pytest.fixture(params=["memory", "valkey", "redis"])
def make(request: pytest.FixtureRequest) -> Callable[[], Rates]:
    """Makes the rates of one process after another; all of them agree."""
    if request.param == "memory":
        only = MemoryRates()
        return lambda: only
    if request.param == "valkey":
        url = request.getfixturevalue("valkey")
        return lambda: RedisRates(url)
    url = os.environ.get("TEST_REDIS_URL", "")
    if not url:
        pytest.skip("TEST_REDIS_URL names no Redis server")
    return lambda: RedisRates(url)


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


def test_no_more_are_done_than_the_rate_says_however_many_ask(
    make: Callable[[], Rates], name: str
) -> None:
    rate, processes = Rate(10, LONG), [make(), make()]

    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda n: processes[n % 2].must(name, rate, f"w{n}"), range(40)))

    assert waits.count(0.0) == 10
    assert all(LONG - 30 < wait <= 4 * LONG for wait in waits if wait)


def test_what_can_be_dropped_leaves_room_for_what_must_be_done(
    make: Callable[[], Rates], name: str
) -> None:
    rates, rate = make(), Rate(10, LONG, share=0.7)

    dropped = [rates.spare(name, rate, f"w{n}") for n in range(20)]
    done = [rates.must(name, rate, f"m{n}") for n in range(5)]

    assert (dropped.count(0.0), done.count(0.0)) == (7, 3)


def test_a_booked_time_is_kept_for_whoever_booked_it(make: Callable[[], Rates], name: str) -> None:
    rates, rate = make(), Rate(1, 0.4)
    rates.must(name, rate, "first")
    wait = rates.must(name, rate, "mine")
    again = rates.must(name, rate, "mine")
    later = rates.must(name, rate, "another's")
    time.sleep(wait + 0.01)

    assert 0 < again <= wait <= 0.4 < later
    assert make().must(name, rate, "mine") == 0.0
    assert rates.spare(name, rate, "anybody") > 0


def test_those_who_ask_for_what_can_be_dropped_take_turns(
    make: Callable[[], Rates], name: str
) -> None:
    rates, rate = make(), Rate(100, LONG, share=1.0)
    everybody = [f"w{n}" for n in range(10)]
    first = [rates.spare(name, rate, who) for who in everybody]

    second = rates.spare(name, rate, "w0")

    assert first == [0.0] * 10
    assert 10 * LONG / 100 - 30 < second <= 10 * LONG / 100


def test_a_pause_holds_for_all_and_for_everything(make: Callable[[], Rates], name: str) -> None:
    make().pause(name, LONG)
    make().pause(name, 1.0)

    waits = [
        make().must(name, Rate(10, 60.0), "a"),
        make().spare(name, Rate(10, 60.0), "b"),
        make().must(f"{name}-other", Rate(10, 60.0), "a"),
    ]

    assert all(LONG - 30 < wait <= LONG for wait in waits[:2])
    assert waits[2] == 0.0


def test_whoever_is_refused_has_nothing_booked(make: Callable[[], Rates], name: str) -> None:
    rate = Rate(3, LONG)

    taken = [make().take(name, rate) for _ in range(6)]

    assert [each.left for each in taken] == [2, 1, 0, 0, 0, 0]
    assert [each.wait for each in taken[:3]] == [0.0] * 3
    assert all(LONG - 30 < each.wait <= LONG for each in taken[3:])
    assert make().take(f"{name}-other", rate).left == 2


def test_a_pause_holds_for_what_is_taken(make: Callable[[], Rates], name: str) -> None:
    make().pause(name, LONG)

    assert make().take(name, Rate(3, 60.0)).wait > LONG - 30


def test_a_rate_recovers_once_its_time_is_over(make: Callable[[], Rates], name: str) -> None:
    rates, rate = make(), Rate(2, 0.2, share=1.0)
    taken = [rates.spare(name, rate, who) for who in "abc"]
    time.sleep(taken[2] + 0.01)

    assert rates.spare(name, rate, "c") == 0.0


def test_without_the_store_each_process_has_a_share() -> None:
    rates = open_rates(f"redis://127.0.0.1:{free_port()}/0")

    began = time.monotonic()
    waits = [rates.must("x", Rate(20, LONG), f"w{n}") for n in range(8)]

    assert waits.count(0.0) == 5
    assert rates.take("y", Rate(20, LONG)).left == 4
    assert rates.take("y", Rate(20, LONG, alone=1.0)).left == 18
    assert time.monotonic() - began < 30
