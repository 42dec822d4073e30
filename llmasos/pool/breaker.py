"""The circuit breaker of one server: whether it may be asked now.

Closed: it may. Open, after several failures in a row or a failed health check: it may not, for a
while that doubles. Half open, when that is over: one request may try; how it ends decides. Beside
that a server rests for as long as it asked to (`Retry-After`). Knows time and nothing else.
"""

import random
import threading
import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "half-open", "open"]

FAILURES = 3
"""Failures in a row that open it."""
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
FIRST_REST = 0.25
LONGEST_REST = 4.0
"""Seconds of rest after an overload that named no time; doubled with each in a row."""


class Breaker:
    """Safe in threads. clock: seconds that only grow. chance: a number in [0, 1)."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock, self._chance = clock, chance
        self._lock = threading.Lock()
        self._failures = self._overloads = self._opened = 0
        self._open_until: float | None = None
        self._resting_until = 0.0
        self._trying = False
        self.reason = ""
        """The last failure."""

    @property
    def state(self) -> State:
        """Closed, open or half-open."""
        if self._open_until is None:
            return "closed"
        return "open" if self._clock() < self._open_until else "half-open"

    @property
    def rest(self) -> float:
        """Seconds for which the server still wants to rest."""
        return max(0.0, self._resting_until - self._clock())

    def would_admit(self) -> bool:
        """Whether a request may be sent now."""
        return not self.rest and (
            self.state == "closed" or (self.state == "half-open" and not self._trying)
        )

    def admit(self) -> bool:
        """Take the leave to send a request now; say then how it went."""
        with self._lock:
            admitted = self.would_admit()
            if admitted and self._open_until is not None:
                self._trying = True
            return admitted

    def succeeded(self) -> None:
        """The server did its work: it is closed."""
        with self._lock:
            self._failures = self._overloads = self._opened = 0
            self._open_until, self._trying = None, False

    def failed(self, reason: str) -> None:
        """The server did not do its work; opens after several times, or when it was on trial."""
        with self._lock:
            self.reason = reason
            self._failures += 1
            if self._trying or self._failures >= FAILURES:
                self._open()

    def trip(self, reason: str) -> None:
        """Open it at once."""
        with self._lock:
            self.reason = reason
            if self.state != "open":
                self._open()

    def overloaded(self, seconds: float) -> None:
        """The server wants to rest. seconds: how long; 0: it did not say."""
        with self._lock:
            self._trying = False
            rest = seconds or min(FIRST_REST * 2**self._overloads, LONGEST_REST)
            self._overloads += 1
            self._resting_until = self._clock() + rest * (1 + self._chance() / 4)

    def gave_up(self) -> None:
        """The one who asked went away before it was known how it goes."""
        with self._lock:
            self._trying = False

    def recovered(self) -> None:
        """A health check went well: a request may try at once."""
        with self._lock:
            if self._open_until is not None:
                self._open_until = min(self._open_until, self._clock())

    def _open(self) -> None:
        pause = min(FIRST_PAUSE * 2**self._opened, LONGEST_PAUSE)
        self._opened += 1
        self._trying = False
        self._open_until = self._clock() + pause * (1 + self._chance() / 4)
