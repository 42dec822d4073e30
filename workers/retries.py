"""What is worth another try, and when. Nothing else decides it."""

import random

from llmasos.errors import (
    DatabaseUnavailable,
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    GenerationFailed,
    HomeNotWritable,
    StateError,
)

WORTH_ANOTHER_TRY: tuple[type[Exception], ...] = (
    EngineUnavailable,
    EngineOverloaded,
    GenerationFailed,
    DatabaseUnavailable,
    HomeNotWritable,
    ConnectionError,
    TimeoutError,
)
"""Failures of the world, which may have passed in a moment. All else would fail again."""

RETRY_WAITS = (2.0, 20.0, 60.0)
"""Seconds between the tries to run a job: first in case it was a moment's trouble, then long enough
for an engine that was killed to start again. The last one repeats."""

DELIVERY_WAITS = (2.0, 10.0, 30.0, *[60.0] * 4, *[120.0] * 5, 600.0, 1800.0, *[3600.0] * 23)
"""Seconds between the tries to bring an answer to an address: a quarter of an hour at distances
that people wait for, and a day in all."""

SWEEP_WAITS = (30.0, 120.0, 600.0)
"""Seconds between the wake-ups for a job that is due and not taken; the last one repeats."""


def missing(error: Exception) -> str:
    """What a job waits for after this failure, for people."""
    if isinstance(error, EngineError):
        return "a backend"
    return "the database" if isinstance(error, StateError) else "another try"


def wait_before_retry(failures: int) -> float:
    """Seconds to wait after so many failures, and up to a quarter more, at random."""
    return RETRY_WAITS[min(failures, len(RETRY_WAITS)) - 1] * random.uniform(1.0, 1.25)


def wait_before_redelivery(tries: int, asked_for: float) -> float | None:
    """Seconds to wait after so many tries, a tenth more or less at random; None: give up.

    asked_for: what the place asked for.
    """
    if tries > len(DELIVERY_WAITS):
        return None
    return max(DELIVERY_WAITS[tries - 1] * random.uniform(0.9, 1.1), asked_for)


def wait_before_wake(wakes: int) -> float:
    """Seconds until the next wake-up for a job, after so many of them."""
    return SWEEP_WAITS[min(wakes, len(SWEEP_WAITS)) - 1]
