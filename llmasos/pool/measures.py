"""What this process has measured of one server: waits, speed, outcomes.

Kept over the last requests only, so that the figures tell of now. Start reading at `Measures`.
"""

import statistics
import threading
import time
from collections import deque
from dataclasses import dataclass

KEPT = 200
"""Requests over which a middle value is taken."""
RECENT_SECONDS = 30.0
"""After this long without a request a server's pace is forgotten, so that it is tried again."""


@dataclass(frozen=True)
class Figures:
    """The measures at one moment. None: nothing was measured yet."""

    answered: int
    failed: int
    overloaded: int
    stayed: int
    """Requests whose beginning it holds."""
    moved: int
    """Requests that belong to another server, which could not take them."""
    first_token_ms: float | None
    """The median."""
    tokens_per_second: float | None
    """The median of the answers' own speeds after their first token."""


class Measures:
    """Counts and times of one server; safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: deque[float] = deque(maxlen=KEPT)
        self._speeds: deque[float] = deque(maxlen=KEPT)
        self._pace, self._paced_at = 0.0, float("-inf")
        self._counts = {"answered": 0, "failed": 0, "overloaded": 0, "stayed": 0, "moved": 0}

    def first_token(self, seconds: float) -> None:
        """A first piece came after so long."""
        with self._lock:
            self._first.append(seconds)
            before = self._pace if self._recent() else seconds
            self._pace, self._paced_at = (before + seconds) / 2, time.monotonic()

    @property
    def pace(self) -> float | None:
        """Seconds to a first token lately; None when that is not known of the last half minute."""
        return self._pace if self._recent() else None

    def ended(self, tokens: int, seconds: float) -> None:
        """An answer ended. tokens: those after the first piece; seconds: the time they took."""
        with self._lock:
            self._counts["answered"] += 1
            if tokens > 0 and seconds > 0:
                self._speeds.append(tokens / seconds)

    def count(self, what: str) -> None:
        """One more of a kind that `Figures` has."""
        with self._lock:
            self._counts[what] += 1

    def _recent(self) -> bool:
        return time.monotonic() - self._paced_at < RECENT_SECONDS

    def figures(self) -> Figures:
        """All of it, as it stands."""
        with self._lock:
            first = statistics.median(self._first) * 1000 if self._first else None
            speed = statistics.median(self._speeds) if self._speeds else None
            return Figures(**self._counts, first_token_ms=first, tokens_per_second=speed)
