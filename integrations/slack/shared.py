"""Something that is asked for once, and shared by all who wait for it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """What an attempt gives, for everybody; who comes after one that failed begins another.

    With a lock in its place each of a hundred events would wait for an attempt of its own.
    """

    def __init__(self, attempt: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._attempt = attempt
        self._task: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """What the attempt gives. Raises what it raises."""
        task = self._task
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._task = asyncio.get_running_loop().create_task(self._attempt())
        return await asyncio.shield(task)
