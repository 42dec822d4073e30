"""The bus: every implementation carries a job's events in order and lets a reader resume."""

import os
import socket
import threading
import time
import uuid

import pytest

from llmasos.bus import EventBus, MemoryBus, RedisBus, open_bus
from llmasos.errors import BrokerUnavailable
from llmasos.events import Reply, Restarted, Status, Token, ToolCall


@pytest.fixture(params=["memory", "valkey", "redis"])
def bus(request: pytest.FixtureRequest) -> EventBus:
    if request.param == "memory":
        return MemoryBus()
    if request.param == "valkey":
        return RedisBus(request.getfixturevalue("valkey"))
    url = os.environ.get("TEST_REDIS_URL")
    if not url:
        pytest.skip("TEST_REDIS_URL names no Redis server")
    return RedisBus(url)


@pytest.fixture
def job() -> str:
    return uuid.uuid4().hex


def test_a_notice_hangs_on_its_board_until_it_is_old(bus: EventBus, job: str) -> None:
    bus.pin(job, "worker-1", "well", 60)
    bus.pin(job, "worker-1", "tired", 60)
    bus.pin(job, "worker-2", "gone", 0.05)
    time.sleep(0.1)  # its time is over then, by any clock

    assert bus.pinned(job) == {"worker-1": "tired"}
    assert bus.pinned("another") == {}


def test_events_arrive_in_order_with_the_attempt_that_made_them(bus: EventBus, job: str) -> None:
    sent = [(1, Status(text="…")), (1, Token(text="你好")), (2, Restarted()), (2, Reply(text="x"))]

    for attempt, event in sent:
        bus.publish(job, attempt, event)

    assert [(each.attempt, each.event) for each in bus.read(job)] == sent


def test_a_reader_goes_on_where_it_was(bus: EventBus, job: str) -> None:
    for word in "abcd":
        bus.publish(job, 1, Token(text=word))
    second = bus.read(job)[1]

    rest = bus.read(job, after=second.id)

    assert [each.event for each in rest] == [Token(text="c"), Token(text="d")]


def test_jobs_do_not_hear_each_other(bus: EventBus, job: str) -> None:
    bus.publish(job + "x", 1, Token(text="theirs"))

    assert list(bus.read(job, wait=0.05)) == []


def test_a_waiting_reader_gets_the_first_event_as_it_comes(bus: EventBus, job: str) -> None:
    later = threading.Timer(0.2, bus.publish, (job, 1, Token(text="now")))
    later.start()

    began = time.monotonic()
    found = bus.read(job, wait=30)

    assert [each.event for each in found] == [Token(text="now")]
    assert time.monotonic() - began < 5
    later.join()


def test_a_reader_does_not_wait_longer_than_it_said(bus: EventBus, job: str) -> None:
    began = time.monotonic()

    assert list(bus.read(job, wait=0.3)) == []

    assert 0.25 < time.monotonic() - began < 3


@pytest.mark.parametrize("after", ["", "nonsense", "1-2-3", "99999999999999999999999", "-1"])
def test_a_place_that_makes_no_sense_is_the_beginning(bus: EventBus, job: str, after: str) -> None:
    bus.publish(job, 1, Token(text="a"))

    read = bus.read(job, after=after, wait=0.05)

    assert [each.event for each in read] in ([Token(text="a")], [])


def test_an_event_that_is_no_json_stops_nobody(valkey: str, job: str) -> None:
    bus = RedisBus(valkey)

    bus.publish(job, 1, ToolCall(name="x", arguments={"a": object()}))
    bus.publish(job, 1, Token(text="on"))

    assert [each.event for each in bus.read(job)] == [Token(text="on")]


def test_a_bus_that_answers_says_so(bus: EventBus) -> None:
    bus.ping()


def test_a_dead_bus_costs_an_agent_next_to_nothing() -> None:
    bus = RedisBus("redis://127.0.0.1:1/0")

    began = time.monotonic()
    for _ in range(100):
        bus.publish("job", 1, Token(text="x"))

    assert time.monotonic() - began < 1
    assert list(bus.read("job", wait=0.1)) == []


def test_a_hung_bus_costs_an_agent_next_to_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        bus = RedisBus(f"redis://:secret@127.0.0.1:{silent.getsockname()[1]}/0")

        began = time.monotonic()
        for _ in range(20):
            bus.publish("job", 1, Token(text="x"))

        assert time.monotonic() - began < 2


def test_a_bus_that_is_away_is_named_without_its_password() -> None:
    bus = RedisBus("redis://:hunter2@127.0.0.1:1/0")

    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1") as caught:
        bus.ping()

    assert "hunter2" not in str(caught.value)


def test_without_an_address_the_bus_is_in_this_process() -> None:
    assert isinstance(open_bus(None), MemoryBus)


def test_the_bus_in_memory_forgets_the_oldest_jobs() -> None:
    bus = MemoryBus(keep=2)

    for job in ("a", "b", "c"):
        bus.publish(job, 1, Token(text="x"))

    assert [bool(bus.read(job, wait=0)) for job in ("a", "b", "c")] == [False, True, True]
