"""Wake-ups at RabbitMQ: a busy worker leaves them to those that are idle."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection, Queue

from llmasos.processes import TETHER
from llmasos.request import Queue as Kind
from workers import celery_app
from workers.dispatcher import CeleryDispatcher

THREADS, SENT = 2, 7
BUSY = """
import sys, time
from pathlib import Path
from llmasos.request import Queue
from workers import celery_app

prefix, url, folder = sys.argv[1:]
celery_app.queue_name = lambda queue: f"{prefix}.{queue.value}"


def run(job_id, queue):
    (Path(folder) / str(time.time_ns())).touch()
    time.sleep(120)


celery_app.serve(celery_app.consumer(url, [Queue.BATCH], run), 2, print)
"""


@pytest.fixture
def url() -> str:
    given = os.environ.get("TEST_RABBITMQ_URL")
    if not given:
        pytest.skip("TEST_RABBITMQ_URL names no broker")
    return given


@pytest.fixture
def queue(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """A queue of our own at a broker that others may use at this moment."""
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(celery_app, "queue_name", lambda kind: f"{prefix}.{kind.value}")
    with Connection(url) as connection:
        own = Queue(celery_app.queue_name(Kind.BATCH), channel=connection.default_channel)
        yield own
        own.delete()


@pytest.mark.timeout(120)
def test_a_busy_worker_keeps_no_more_than_one_to_itself(
    url: str, queue: Queue, tmp_path: Path
) -> None:
    dispatcher = CeleryDispatcher(url)
    for number in range(SENT):
        dispatcher.wake(f"job-{number}", Kind.BATCH)()
    prefix = queue.name.rpartition(".")[0]
    command = [sys.executable, "-c", BUSY, prefix, url, str(tmp_path)]
    busy = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=TETHER)
    try:
        give_up = time.monotonic() + 60
        while (running := len(list(tmp_path.iterdir()))) < THREADS:
            assert time.monotonic() < give_up, "the worker did not begin"
            time.sleep(0.05)
        left = _steady(queue)
    finally:
        busy.kill()
        busy.wait()

    assert running == THREADS
    assert left >= SENT - THREADS - 1


def _steady(queue: Queue) -> int:
    """How many messages wait for anybody, once that does not change."""
    seen: list[int] = []
    while len(seen) < 10 or len(set(seen[-10:])) > 1:
        seen.append(queue.queue_declare(passive=True).message_count)
        time.sleep(0.1)
    return seen[-1]
