"""One server of the pool: how to speak with it, whether it may be asked, what it works on.

Joins a `Backend` with its breaker, its measures and its pulse; which server is asked is decided
elsewhere (affinity.py, route.py). Start reading at `Server.begin`.
"""

import threading
import time
from dataclasses import dataclass
from typing import Protocol

from llmasos.errors import (
    EngineError,
    EngineMisconfigured,
    EngineOverloaded,
    EngineRejected,
    EngineUnavailable,
)
from llmasos.generation import Backend, ModelInfo, Piece
from llmasos.pool.breaker import Breaker
from llmasos.pool.measures import Measures
from llmasos.pool.plan import Address, Timeouts
from llmasos.pool.pulse import Pulse
from llmasos.wire import NO_SUCH_PLACE, Wire


class Remote(Backend, Protocol):
    """A backend with connections to a server."""

    @property
    def kind(self) -> str:
        """`tgi` or `openai`."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


@dataclass(frozen=True)
class Identity:
    """What a server turned out to be."""

    backend: Remote
    info: ModelInfo


class Server:
    """Safe in threads. timeouts: of its connections; interval: seconds between health checks."""

    def __init__(self, address: Address, timeouts: Timeouts, interval: float) -> None:
        self.address = address
        self.timeouts = timeouts
        """In force for backends that are opened from now on: see `forget`."""
        self.breaker, self.measures = Breaker(), Measures()
        self.wire = Wire(address.url, key=address.key)
        """For questions about the server itself; requests have connections of their own."""
        self.pulse = Pulse(self, interval)
        self.running = 0
        """Requests that it works on for this process."""
        self.outstanding = 0
        """The tokens that these may have, prompts and answers together."""
        self.last_sign = time.monotonic()
        """When something came from it last."""
        self.met = False
        """Whether it has ever said who it is: then it is worth waiting for."""
        self._lock = threading.Lock()
        self._identity: Identity | None = None
        self._retired = False

    @property
    def url(self) -> str:
        """Its address."""
        return self.address.url

    @property
    def busy(self) -> bool:
        """Whether another request would have to wait there."""
        return self.running >= self.address.slots

    @property
    def load(self) -> float:
        """Outstanding tokens a slot."""
        return self.outstanding / self.address.slots

    @property
    def pace(self) -> float | None:
        """Seconds to a first token lately, if that is known."""
        return self.measures.pace

    @property
    def down(self) -> bool:
        """Whether it fails its health checks, and nothing comes from it."""
        return self.pulse.down

    def identity(self) -> Identity:
        """Who it is; asked the first time, and again after it was down. Raises EngineError."""
        known = self._identity
        if known is not None:
            return known
        from llmasos.pool.kinds import opened  # late: see there

        backend = opened(self.address, self.timeouts)
        try:
            found = Identity(backend, backend.info())
        except EngineError:
            backend.close()
            raise
        with self._lock:  # several may have asked at once: one answer is kept
            known = self._identity = self._identity or found
        if known is not found:
            backend.close()
        self.met = True
        return known

    @property
    def known(self) -> Identity | None:
        """Who it is, as far as it was asked."""
        return self._identity

    def forget(self) -> None:
        """Ask anew who it is: what runs there may be another by now."""
        self._identity = None

    def check(self, seconds: float) -> str | None:
        """Ask how it is: None when it is well, else why not. seconds: how long that may take."""
        try:
            status, _ = self.wire.page("/health", seconds)
            if status in NO_SUCH_PLACE:
                status, _ = self.wire.page("/v1/models", seconds)
        except EngineUnavailable as error:
            return error.reason
        return None if 200 <= status < 300 else f"it says that it is not well (HTTP {status})"

    def begin(self, tokens: int) -> "Call | None":
        """Take a place for a request; None when it may not be asked now.

        tokens: what prompt and answer may have together.
        """
        if self._retired or not self.breaker.admit():
            return None
        with self._lock:
            self.running += 1
            self.outstanding += tokens
        self.pulse.feel()
        return Call(self, tokens)

    def leave(self, tokens: int) -> None:
        """Give a place back."""
        with self._lock:
            self.running -= 1
            self.outstanding -= tokens
        if self._retired and not self.running:
            self.close()

    def retire(self) -> None:
        """Take no more requests; those that run may end."""
        self._retired = True
        if not self.running:
            self.close()

    def close(self) -> None:
        """Close its connections."""
        self._retired = True
        self.pulse.stop()
        self.wire.close()
        if self._identity is not None:
            self._identity.backend.close()


class Call:
    """One request at one server, from its place there to its end. `end` must be called."""

    def __init__(self, server: Server, tokens: int) -> None:
        self._server, self._tokens = server, tokens
        self._begun = time.monotonic()
        self._first: float | None = None

    @property
    def begun(self) -> bool:
        """Whether a piece has come."""
        return self._first is not None

    def sent(self) -> None:
        """It is asked now; what came before, such as finding out who it is, is not its time."""
        self._begun = time.monotonic()

    def came(self, piece: Piece) -> None:
        """A piece came; with the last one the answer is done."""
        server = self._server
        now = server.last_sign = time.monotonic()
        if self._first is None:
            self._first = now
            server.measures.first_token(now - self._begun)
            server.breaker.succeeded()
        if piece.finish_reason is not None:
            server.measures.ended(piece.completion_tokens - 1, now - self._first)

    def failed(self, error: EngineError) -> None:
        """It ended with an error, which tells of the server or of the request."""
        server = self._server
        if isinstance(error, EngineOverloaded):
            server.measures.count("overloaded")
            server.breaker.overloaded(error.retry_after)
        elif isinstance(error, EngineMisconfigured):
            server.measures.count("failed")
            server.breaker.trip(error.reason)
            server.forget()
        elif isinstance(error, EngineRejected):
            server.breaker.succeeded()  # it is well: it looked at the request, and refused it
        else:
            server.measures.count("failed")
            server.breaker.failed(why(error))
            server.pulse.hurry()

    def answered(self) -> None:
        """What was asked of it is done, without pieces."""
        self._server.last_sign = time.monotonic()
        self._server.breaker.succeeded()

    def gave_up(self) -> None:
        """Nobody waits for it any more; that says nothing of the server."""
        self._server.breaker.gave_up()

    def end(self) -> None:
        """Give the place back."""
        self._server.leave(self._tokens)


def why(error: EngineError) -> str:
    """Why a server did not do its work, without its address."""
    return str(getattr(error, "reason", error))
