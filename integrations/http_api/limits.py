"""Limits: how many requests a caller may send in a minute, counted by all processes together."""

import math
from dataclasses import dataclass

from llmasos.errors import RateExceeded
from llmasos.rates import Rate, Rates

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
            "ratelimit-reset": str(math.ceil(self.seconds)),
        }


class Limits:
    """Counts the requests of the last minute."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates

    def take(self, who: str, per_minute: int) -> Budget:
        """Count one request. Raises RateExceeded when it is one too many."""
        rate = Rate(per_minute, MINUTE, alone=1.0)
        taken = self._rates.take(f"http:{who}", rate)
        if taken.wait:
            raise RateExceeded(who, per_minute, max(1.0, taken.wait))
        return Budget(per_minute, taken.left, MINUTE)
