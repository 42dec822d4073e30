"""The wire: refusals in every form, and waits that can be called off."""

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from llmasos.errors import EngineMisconfigured, EngineUnavailable
from llmasos.wire import LONGEST_REST, Wire, pause, retry_after, watched


class Enough(Exception):
    """Somebody has waited long enough."""


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def after(seconds: float) -> threading.Event:
    event = threading.Event()
    threading.Timer(seconds, event.set).start()
    return event


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("1e99", LONGEST_REST), ("nan", 0.0), ("soon", 0.0)],
)
def test_a_wish_for_rest_is_read(said: str, seconds: float) -> None:
    assert retry_after(httpx.Headers({"Retry-After": said})) == seconds


def test_a_wish_for_rest_until_a_moment_is_read() -> None:
    moment = datetime.now(UTC) + timedelta(seconds=30)

    assert 25 < retry_after(httpx.Headers({"Retry-After": format_datetime(moment)})) <= 30
    assert retry_after(httpx.Headers()) == 0.0


def test_a_wait_for_an_answer_can_be_called_off(silent: str) -> None:
    enough, wire = after(0.3), Wire(silent)

    def check() -> None:
        if enough.is_set():
            raise Enough

    begun = time.monotonic()
    with watched(check), pytest.raises(Enough):
        wire.fetch("/x", {"a": 1})

    assert time.monotonic() - begun < 3
    wire.close()


def test_a_wait_without_a_check_ends_with_its_timeout(silent: str) -> None:
    wire = Wire(silent, idle_timeout=0.3)

    with pytest.raises(EngineUnavailable, match="nothing came in time"):
        wire.fetch("/x")

    with watched(lambda: None), pytest.raises(EngineUnavailable, match="nothing came in time"):
        wire.fetch("/x")
    wire.close()


def test_a_pause_can_be_called_off() -> None:
    def check() -> None:
        raise Enough

    with watched(check), pytest.raises(Enough):
        pause(60)


def test_a_wire_that_is_closed_says_so(silent: str) -> None:
    wire = Wire(silent)
    wire.close()

    with pytest.raises(EngineUnavailable, match="closed"):
        wire.look("/info")


@pytest.mark.parametrize("path", ["/health", "/v1/models"])
def test_an_address_may_end_in_v1(start_model_server: object, path: str) -> None:
    server = start_model_server("m", "openai")  # type: ignore[operator]

    with_it, without = Wire(f"{server.url}/v1/"), Wire(server.url)

    assert with_it.page(path, 5) == without.page(path, 5)
    assert with_it.look("/nowhere") is None
    with pytest.raises(EngineMisconfigured, match="not with JSON"):
        with_it.fetch("/metrics")
