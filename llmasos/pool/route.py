"""The route of one request: which servers it asks, in which order, and how long it waits.

First the model's own servers, then those of each model that stands in for it. When none can take
it, it waits for one that is overloaded, or that worked before and will be back, as long as patience
and deadline allow. Start reading at `Route.__iter__`.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence

from llmasos.errors import (
    EngineError,
    EngineMisconfigured,
    EngineOverloaded,
    EngineUnavailable,
    ModelUnavailable,
)
from llmasos.pool.affinity import ranked
from llmasos.pool.server import Server, why
from llmasos.wire import pause

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 2.0

Tiers = Sequence[Sequence[Server]]


class Route:
    """One request's way. Iterate, ask the server that comes, and tell `failed` when it could not.

    alias: the model that was asked for. tiers: gives its servers and those that stand in, now.
    key: the beginning of the conversation. seconds: for everything. patience: seconds of these
    that may be spent waiting.
    """

    def __init__(
        self, alias: str, tiers: Callable[[], Tiers], key: str, seconds: float, patience: float
    ) -> None:
        self._alias, self._tiers, self._key = alias, tiers, key
        self._seconds, self._patience = seconds, patience
        self._until = time.monotonic() + seconds
        self._passed: set[int] = set()
        self._errors: dict[str, EngineError] = {}
        self._rounds = 0

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._until - time.monotonic()

    def __iter__(self) -> Iterator[Server]:
        """The next server to ask. Raises EngineError when there is none any more."""
        while True:
            for tier in self._tiers():
                while (server := self._best(tier)) is not None:
                    if self.left <= 0:
                        raise self._too_late()
                    self._passed.add(id(server))
                    yield server
            self._wait()

    def failed(self, server: Server, error: EngineError) -> None:
        """The server could not take it. Raises an error when it is too late to go on."""
        self._errors[server.url] = error
        if self.left <= 0:
            raise self._too_late() from error

    def elsewhere(self, server: Server) -> bool:
        """Whether another server could take it now."""
        return any(
            other is not server and self._open(other) for tier in self._tiers() for other in tier
        )

    def _best(self, tier: Sequence[Server]) -> Server | None:
        """The first choice among the servers that may be asked and were not."""
        return next(iter(ranked(self._key, [each for each in tier if self._open(each)])), None)

    def _open(self, server: Server) -> bool:
        return id(server) not in self._passed and server.breaker.would_admit()

    def _wait(self) -> None:
        """Wait until another round makes sense. Raises what was wrong when none does."""
        servers = {id(each): each for tier in self._tiers() for each in tier}
        hopeful = [each for each in servers.values() if self._may_come_back(each)]
        if not hopeful:
            raise self._verdict(list(servers.values()))
        least = min(FIRST_PAUSE * 2**self._rounds, LONGEST_PAUSE)
        seconds = max(least, min(each.breaker.rest for each in hopeful))
        seconds *= random.uniform(1.0, 1.25)
        if seconds > min(self._patience, self.left):
            raise self._verdict(list(servers.values()))
        self._patience -= seconds
        self._rounds += 1
        pause(seconds)
        self._passed -= {id(each) for each in hopeful}

    def _may_come_back(self, server: Server) -> bool:
        """Whether a server that cannot take it now may be able to in a moment."""
        error = self._errors.get(server.url)
        if error is None or isinstance(error, EngineUnavailable):
            return server.met or bool(server.breaker.rest)
        return isinstance(error, EngineOverloaded)

    def _verdict(self, servers: Sequence[Server]) -> EngineError:
        """What to say when nobody could take it."""
        if not servers:
            return nobody()
        errors = [self._errors[each.url] for each in servers if each.url in self._errors]
        resting = [each for each in servers if each.breaker.rest]
        if resting:
            soonest = min(resting, key=lambda each: each.breaker.rest)
            return EngineOverloaded(soonest.url, round(soonest.breaker.rest, 1))
        if len(servers) == 1 and errors:
            return errors[0]
        if errors and all(isinstance(error, EngineMisconfigured) for error in errors):
            return errors[0]
        return ModelUnavailable(self._alias, tuple(self._told(each) for each in servers))

    def _told(self, server: Server) -> str:
        error = self._errors.get(server.url)
        return f"{server.url} ({why(error) if error else server.breaker.reason or 'busy'})"

    def _too_late(self) -> EngineError:
        reasons = (f"no answer within {self._seconds:g} s",)
        told = tuple(f"{url} ({why(error)})" for url, error in self._errors.items())
        return ModelUnavailable(self._alias, reasons + told)


def nobody() -> EngineUnavailable:
    """The error where a model has no server at all."""
    return EngineUnavailable(
        "none", "no system runs here, and llm.urls and llm.models name no server"
    )
