"""The dispatcher: sends wake-ups through Celery, without making anybody wait for a broker.

A thread of its own sends, so that a hung broker costs a caller 0.25 s and never more.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from functools import partial
from queue import Empty, Full
from queue import Queue as Waiting

from llmasos.errors import BrokerUnavailable
from llmasos.request import Queue
from workers.celery_app import PUBLISH_TIMEOUT, Wakes, publisher

MOST_WAITING = 1_000
"""Wake-ups that may wait for the broker; more are dropped, the sweeper makes up for them."""


class CeleryDispatcher:
    """Wakes workers by messages: a `jobs.Dispatcher`."""

    def __init__(self, broker_url: str) -> None:
        self._application = publisher(broker_url)
        self._name = self._application.connection_for_write().as_uri()  # without the password
        self._waiting: Waiting[tuple[str, Queue, Future[None]]] = Waiting(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def wake(self, job_id: str, queue: Queue) -> Callable[[], None]:
        """Begin to say that a job is due; gives what waits until that is said, 0.25 s at most.

        What it gives raises BrokerUnavailable.
        """
        self._start()
        sent: Future[None] = Future()
        try:
            self._waiting.put_nowait((job_id, queue, sent))
        except Full:
            reason = f"{MOST_WAITING} messages wait for it already"
            sent.set_exception(BrokerUnavailable(self._name, reason))
        return partial(self._until, sent, time.monotonic() + PUBLISH_TIMEOUT)

    def _until(self, sent: Future[None], give_up: float) -> None:
        try:
            sent.result(max(0.0, give_up - time.monotonic()))
        except BrokerUnavailable:
            raise
        except NotInTime:
            raise BrokerUnavailable(self._name, f"nothing within {PUBLISH_TIMEOUT} s") from None
        except Exception as error:
            raise BrokerUnavailable(self._name, str(error) or type(error).__name__) from error

    def _start(self) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._send_all, name="dispatcher", daemon=True
                    )
                    self._thread.start()

    def _send_all(self) -> None:
        wakes: Wakes | None = None
        while True:
            job_id, name, sent = self._waiting.get()
            try:
                wakes = wakes or Wakes(self._application)
                wakes.send(job_id, name)
            except Exception as error:  # noqa: BLE001  (whatever the broker's client raises)
                if wakes is not None:  # the next wake-up opens a new connection
                    wakes.drop()
                wakes = None
                self._fail_waiting(error)
                sent.set_exception(error)
            else:
                sent.set_result(None)

    def _fail_waiting(self, error: Exception) -> None:
        """Those behind would only wait for the same failure."""
        while True:
            try:
                _, _, sent = self._waiting.get_nowait()
            except Empty:
                return
            sent.set_exception(error)
