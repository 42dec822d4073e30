"""Who may come in, and whose turn it is: the engine's queue.

A request first takes a permit, of which there is a fixed number; more are refused as overloaded.
Then it waits, first come first served, for a slot and for room in the key-value cache that all
slots share. Lives in one event loop.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from llmasos.engine.refusals import Overloaded


class Admission:
    """The queue.

    permits: requests held at once, running and waiting. slots: texts generated at a time.
    tokens: room in the cache for all of them together.
    """

    def __init__(self, *, permits: int, slots: int, tokens: int) -> None:
        self._permits, self._slots, self._tokens = permits, slots, tokens
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        """Requests that wait for a slot."""
        return len(self._waiting)

    def enter(self) -> Callable[[], None]:
        """Take a permit; the result gives it back and may be called twice. Raises Overloaded."""
        if self._permits <= 0:
            raise Overloaded
        self._permits -= 1
        held = True

        def leave() -> None:
            nonlocal held
            if held:
                held = False
                self._permits += 1

        return leave

    async def slot(self, tokens: int) -> Callable[[], None]:
        """Wait for a slot and room for so many tokens; the result gives both back, once."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (tokens, turn)
        self._waiting.append(entry)
        self._next()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free(tokens)  # our turn came at the moment we were cancelled
            else:
                self._waiting.remove(entry)
                self._next()
            raise
        return lambda: self._free(tokens)

    def _free(self, tokens: int) -> None:
        self._slots += 1
        self._tokens += tokens
        self._next()

    def _next(self) -> None:
        """Let in whoever is first, as long as there is room."""
        while self._waiting and self._slots > 0 and self._waiting[0][0] <= self._tokens:
            tokens, turn = self._waiting.popleft()
            self._slots -= 1
            self._tokens -= tokens
            turn.set_result(None)
