"""The pulse of one server: a thread that asks how it is, gently and only while it is in use.

A server from which pieces come needs no question. One that is silent while requests wait for it, or
whose breaker is not closed, is asked often; one that nobody uses is not asked at all, and its
thread ends. Start reading at `Pulse`.
"""

import random
import threading
import time
from typing import Protocol

import structlog

from llmasos.pool.breaker import Breaker

log = structlog.get_logger()

IDLE_SECONDS = 30.0
"""After this long without a request the thread ends."""
DOUBT_SECONDS = 1.0
"""Silence that raises doubt, and the pause between questions while there is any."""
CHECK_SECONDS = 2.0
"""How long a health check may take."""
MISSES = 2
"""Checks in a row that must fail: a busy machine may be late once."""


class Patient(Protocol):
    """Whose pulse is felt: a `server.Server`."""

    breaker: Breaker
    running: int
    last_sign: float

    @property
    def url(self) -> str:
        """Its address."""
        ...

    def check(self, seconds: float) -> str | None:
        """Ask how it is: None when it is well, else why not."""
        ...

    def forget(self) -> None:
        """Ask anew who it is."""
        ...


class Pulse:
    """Feels one server. interval: seconds between two checks of one that is well."""

    def __init__(self, server: Patient, interval: float) -> None:
        self._server, self._interval = server, interval
        self._misses = 0
        self._asked_at = self._used_at = time.monotonic()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._hurried = self._stopping = False
        self.problem: str | None = None
        """Why the last check failed; None: it went well, or there was none."""

    @property
    def down(self) -> bool:
        """Whether the last checks failed, and nothing has come from the server since."""
        return self._misses >= MISSES and self._server.last_sign < self._asked_at

    def feel(self) -> None:
        """The server is used: feel it from now on."""
        self._used_at = time.monotonic()
        if self._thread is None:
            with self._change:
                if self._thread is None and not self._stopping:
                    self._thread = threading.Thread(target=self._work, name="pulse", daemon=True)
                    self._thread.start()

    def hurry(self) -> None:
        """Something went wrong: ask now."""
        with self._change:
            self._hurried = True
            self._change.notify_all()

    def stop(self) -> None:
        """Feel it no more."""
        with self._change:
            self._stopping = True
            self._change.notify_all()

    def _work(self) -> None:
        while self._wait():
            if self._should_ask():
                self._ask()

    def _wait(self) -> bool:
        """Wait for the next beat; whether there is one."""
        with self._change:
            pause = DOUBT_SECONDS * random.uniform(0.8, 1.0)
            self._change.wait_for(lambda: self._stopping or self._hurried, timeout=pause)
            unused = time.monotonic() - self._used_at > IDLE_SECONDS and not self._server.running
            if self._stopping or unused:
                self._thread = None
                return False
            return True

    def _should_ask(self) -> bool:
        """Whether there is doubt, or nothing was heard for an interval."""
        server, hurried = self._server, self._hurried
        self._hurried = False
        silence = time.monotonic() - server.last_sign
        if hurried or self.problem is not None or server.breaker.state != "closed":
            return True
        if server.running and silence > DOUBT_SECONDS:
            return True
        return min(silence, time.monotonic() - self._asked_at) >= self._interval

    def _ask(self) -> None:
        server = self._server
        problem = server.check(CHECK_SECONDS)
        self._asked_at = time.monotonic()
        if problem is None:
            if self.problem is not None:
                log.info("pool.server_well", url=server.url)
            self._misses, self.problem = 0, None
            server.breaker.recovered()
            return
        if self.problem is None:
            log.warning("pool.server_unwell", url=server.url, problem=problem)
        self._misses, self.problem = self._misses + 1, problem
        if self.down:
            server.breaker.trip(problem)
            server.forget()
