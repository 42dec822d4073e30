"""What is worth another try, and when. Nothing else decides it."""

import random
from dataclasses import dataclass

from llmasos.errors import (
    CollectionBusy,
    DatabaseUnavailable,
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    GenerationFailed,
    HomeNotWritable,
    RetriesExhausted,
    StateError,
)
from llmasos.settings import JobSettings, WorkerSettings
from workers.claims import Claim

WORTH_ANOTHER_TRY: tuple[type[Exception], ...] = (
    EngineUnavailable,
    EngineOverloaded,
    GenerationFailed,
    CollectionBusy,
    DatabaseUnavailable,
    HomeNotWritable,
    ConnectionError,
    TimeoutError,
)
"""Failures of the world, which may have passed in a moment. All else would fail again."""

AWAY: tuple[type[Exception], ...] = (EngineUnavailable, EngineOverloaded)
"""Nobody takes the request: the job has not failed, it waits for a backend."""
BACKEND_WAITS = (2.0, 30.0)
"""The shortest and the longest wait for a backend; between them, half of what was waited so far."""

RETRY_WAITS = (2.0, 20.0, 60.0)
"""Seconds between the tries to run a job that failed: first in case it was a moment's trouble, then
long enough for what was killed to start again. The last one repeats."""

DELIVERY_WAITS = (2.0, 10.0, 30.0, *[60.0] * 4, *[120.0] * 5, 600.0, 1800.0, *[3600.0] * 23)
"""Seconds between the tries to bring an answer to an address: a quarter of an hour at distances
that people wait for, and a day in all."""

SWEEP_WAITS = (30.0, 120.0, 600.0)
"""Seconds between the wake-ups for a job that is due and not taken; the last one repeats."""


@dataclass(frozen=True)
class NextTry:
    """How a job goes on that could not be done."""

    seconds: float
    """It waits for so long."""
    waits_for: str
    """What should be there then, for people."""
    failures: int
    """How often it has failed."""
    waited: float
    """For how many seconds it will have waited for a backend."""


def next_try(
    claim: Claim, error: Exception, settings: WorkerSettings, limits: JobSettings
) -> NextTry:
    """When a job is tried again. Raises the error that it fails with if it is not."""
    if not isinstance(error, WORTH_ANOTHER_TRY):
        raise error
    if isinstance(error, AWAY):
        left = limits.deadline_seconds - claim.waited
        if left <= 0:
            raise error
        asked_for = error.retry_after if isinstance(error, EngineOverloaded) else 0.0
        seconds = min(max(_wait_for_backend(claim.waited), asked_for), left)
        return NextTry(seconds, "a backend", claim.failures, claim.waited + seconds)
    failures = claim.failures + 1
    if failures >= settings.max_failures:
        raise RetriesExhausted(claim.job.id, failures, str(error)) from error
    seconds = RETRY_WAITS[min(failures, len(RETRY_WAITS)) - 1] * random.uniform(1.0, 1.25)
    return NextTry(seconds, _missing(error), failures, 0.0)


def _wait_for_backend(waited: float) -> float:
    shortest, longest = BACKEND_WAITS
    return min(max(shortest, waited / 2), longest) * random.uniform(1.0, 1.25)


def _missing(error: Exception) -> str:
    """What a job waits for after this failure, for people."""
    if isinstance(error, EngineError):
        return "a backend"
    return "the database" if isinstance(error, StateError) else "another try"


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
