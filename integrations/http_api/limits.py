"""Limits: how many requests a caller may send within a minute, counted by all processes together.

The bus counts for all; while it does not answer, each process counts for itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from llmasos.bus import EventBus, MemoryBus
from llmasos.errors import RateExceeded

MINUTE = 60.0


@dataclass(frozen=True)
class Budget:
    """What a caller has left."""

    limit: int
    remaining: int
    seconds: float
    """Until it is whole again."""

    def headers(self) -> dict[str, str]:
        """As a caller reads it."""
        return {
            "ratelimit-limit": str(self.limit),
            "ratelimit-remaining": str(self.remaining),
            "ratelimit-reset": str(round(self.seconds)),
        }


class Limits:
    """Counts requests by the minute. clock: gives the time in seconds, alike in all processes."""

    def __init__(self, bus: EventBus, clock: Callable[[], float] = time.time) -> None:
        self._bus, self._alone, self._clock = bus, MemoryBus(), clock

    def take(self, who: str, per_minute: int) -> Budget:
        """Count one request. Raises RateExceeded when it is one too many."""
        minute, passed = divmod(self._clock(), MINUTE)
        name, left = f"http:{who}:{minute:.0f}", MINUTE - passed
        own = self._alone.count(name, left) or 0
        number = max(own, self._bus.count(name, left) or 0)
        if number > per_minute:
            raise RateExceeded(who, per_minute, max(1.0, left))
        return Budget(per_minute, per_minute - number, left)
