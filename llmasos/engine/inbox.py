"""What a computing thread says, for one reader in the event loop.

Each token of each text goes through here while the model needs every core, so this does the least
that can be done: `asyncio.Queue` takes five times as long. Used by `llama.py` and `torch_model.py`.
"""

import asyncio
from collections import deque
from typing import Generic, TypeVar

Said = TypeVar("Said")


class Inbox(Generic[Said]):
    """A queue without end for one reader. Made in the reader's event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._said: deque[Said] = deque()
        self._reader: asyncio.Future[None] | None = None

    def put(self, said: Said) -> None:
        """Add something; in the loop. A thread calls it by `loop.call_soon_threadsafe`."""
        self._said.append(said)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def next(self) -> Said:
        """Wait for the oldest that has not been read."""
        while not self._said:
            self._reader = self.loop.create_future()
            await self._reader
        return self._said.popleft()
