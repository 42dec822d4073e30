"""What every route needs: the doors, and threads for work that waits.

The rest of the product is synchronous; here, and only here, it is called from async code.
"""

from collections.abc import Callable
from threading import Event
from typing import Annotated, ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from integrations.app import Doors

FOLLOWERS = 64
"""Threads for those who wait for a job; more of them take turns, half a second each."""

UPLOADS = 4
"""Uploads that are read and embedded at the same time; more of them wait."""

P = ParamSpec("P")
T = TypeVar("T")


def _doors(request: Request) -> Doors:
    doors: Doors = request.app.state.doors
    return doors


class Followers:
    """Those who wait for a job's events: threads of their own, and a sign to stop."""

    def __init__(self) -> None:
        self._limiter = CapacityLimiter(FOLLOWERS)
        self.stopping = Event()
        """Set when the server stops."""

    async def step(self, call: Callable[[], T]) -> T:
        """Do something that waits a moment, without the threads that short work needs."""
        return await anyio.to_thread.run_sync(call, limiter=self._limiter)


Here = Annotated[Doors, Depends(_doors)]
"""A route's parameter of this type gets the doors."""


async def upload(request: Request, call: Callable[[], T]) -> T:
    """Do something that takes seconds, without the threads that short work needs."""
    return await anyio.to_thread.run_sync(call, limiter=request.app.state.uploads)


async def short(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do something that takes milliseconds, off the event loop."""
    return await run_in_threadpool(call, *args, **kwargs)
