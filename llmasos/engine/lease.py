"""When a shared engine ends: as soon as nobody has asked it for a while and nobody needs it.

The engine's own side of `place.py`: `process.py` puts `Lease` in front of the application and
waits for its end.
"""

import asyncio
import os
import time

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from llmasos.engine.place import Address, Place

_WATCHING = ("/health", "/metrics")
"""Paths whose readers only look on."""
_MOST_SECONDS = 1.0


class Lease:
    """Counts the requests of an engine that ends by itself.

    place: where it tells its address. key: its bearer token. idle_seconds: how long it waits for
    another request.
    """

    def __init__(self, place: Place, key: str, idle_seconds: float) -> None:
        self._place, self._key, self._idle_seconds = place, key, idle_seconds
        self._open, self._last, self._over = 0, time.monotonic(), False

    def begin(self, url: str) -> None:
        """Tell everyone in the home where the engine is. Raises HomeNotWritable."""
        self._last = time.monotonic()
        self._place.publish(Address(url, self._key, os.getpid()))

    def end(self) -> None:
        """Tell that it is gone; new requests are sent away from now on."""
        self._over = True
        self._place.withdraw()

    async def ended(self) -> None:
        """Wait until nobody needs the engine any more, or nobody can find it."""
        while not self._over:
            await asyncio.sleep(min(self._idle_seconds / 4, _MOST_SECONDS))
            idle = not self._open and time.monotonic() - self._last >= self._idle_seconds
            if idle and (self._lost() or self._place.unneeded()):
                self.end()

    def _lost(self) -> bool:
        """Whether the home is gone, or tells of another engine."""
        told = self._place.find()
        return told is None or told.pid != os.getpid()

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application, its requests counted."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] in _WATCHING:
                await app(scope, receive, send)
            elif self._over:  # asked in the moment of its end: whoever asks looks for the next one
                ending = {"error": "The engine is ending", "error_type": "unhealthy"}
                await JSONResponse(ending, 503)(scope, receive, send)
            else:
                self._open += 1
                try:
                    await app(scope, receive, send)
                finally:
                    self._open -= 1
                    self._last = time.monotonic()

        return counted
