"""Turns: a job that must stop waits for nobody."""

import threading
import time
from typing import Any

import pytest

from llmasos.errors import JobCancelled
from llmasos.generation import Message, Options
from llmasos.tgi import TGIBackend
from workers.turns import WatchedBackend


def test_a_job_that_is_cancelled_waits_for_no_first_token(start_model_server: Any) -> None:
    server = start_model_server()
    server.behave(first=60)
    cancelled = threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    backend = TGIBackend(server.url)

    def checkpoint() -> None:
        if cancelled.is_set():
            raise JobCancelled("1")

    begun = time.monotonic()
    with pytest.raises(JobCancelled):
        list(
            WatchedBackend(backend, checkpoint).chat([Message(role="user", content="x")], Options())
        )

    assert time.monotonic() - begun < 10
    backend.close()
