"""The dispatcher: a broker that is dead or hangs costs nobody more than a moment."""

import os
import socket
import time

import pytest
from kombu import Connection, Queue

from llmasos.errors import BrokerUnavailable
from llmasos.request import Queue as Kind
from workers import celery_app
from workers.dispatcher import CeleryDispatcher


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_dead_broker_is_told_soon(scheme: str) -> None:
    dispatcher = CeleryDispatcher(f"{scheme}://:hunter2@127.0.0.1:1/0")

    began = time.monotonic()
    with pytest.raises(BrokerUnavailable) as caught:
        dispatcher.wake("job", Kind.INTERACTIVE)()

    assert time.monotonic() - began < 0.5
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_hung_broker_costs_a_quarter_of_a_second(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dispatcher = CeleryDispatcher(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/0")

        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(BrokerUnavailable):
                dispatcher.wake("job", Kind.INTERACTIVE)()
            assert time.monotonic() - began < 0.4


@pytest.mark.parametrize("variable", ["TEST_REDIS_URL", "TEST_RABBITMQ_URL"])
def test_wake_ups_arrive_in_the_queue(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = os.environ.get(variable)
    if not url:
        pytest.skip(f"{variable} names no broker")
    # Others may use the same broker at this moment.
    monkeypatch.setattr(celery_app, "queue_name", lambda queue: f"test-{os.getpid()}.{queue.value}")
    dispatcher = CeleryDispatcher(url)
    with Connection(url) as connection:
        waiting = Queue(celery_app.queue_name(Kind.BATCH), channel=connection.default_channel)
        waiting.delete()

        dispatcher.wake("job-1", Kind.BATCH)()
        dispatcher.wake("job-2", Kind.BATCH)()

        found = [waiting.get(accept=["json"]) for _ in range(2)]
        waiting.delete()
    named = sorted(message.payload[0] for message in found)
    assert named == [["job-1", "batch"], ["job-2", "batch"]]
