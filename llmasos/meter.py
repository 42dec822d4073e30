"""The meter: counts what a run of an agent uses, and ends it where its limits are.

`flow.run` makes one for each run and puts it under the model and the tools; an agent that another
one asks is counted for both. Knows nothing of queues. Start reading at `Meter`.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from llmasos.errors import LimitExceeded
from llmasos.generation import Backend, Message, ModelInfo, Options, Piece
from llmasos.limits import RunLimits
from llmasos.wire import watched


class Meter:
    """Counts what a run uses; safe in threads.

    agent: whose run it is. outer: the meter of the run that asked for this one, counted too.
    """

    def __init__(self, agent: str, limits: RunLimits, outer: "Meter | None" = None) -> None:
        self._agent, self._limits, self._outer = agent, limits, outer
        self._used = {"tokens": 0, "model_calls": 0, "tool_calls": 0}
        self._until = time.monotonic() + limits.seconds
        self._lock = threading.Lock()

    def count(self, what: str, amount: int = 1) -> None:
        """Add to what was used: `tokens`, `model_calls` or `tool_calls`. Raises LimitExceeded."""
        if self._outer:
            self._outer.count(what, amount)
        with self._lock:
            self._used[what] += amount
            used = self._used[what]
        most = getattr(self._limits, what)
        if used > most:
            raise LimitExceeded(self._agent, what, most)

    def check_time(self) -> None:
        """Raises LimitExceeded when the run has taken too long."""
        if self._outer:
            self._outer.check_time()
        if time.monotonic() > self._until:
            raise LimitExceeded(self._agent, "seconds", self._limits.seconds)


class MeteredBackend:
    """A backend whose use is counted while it is asked: a `generation.Backend`."""

    def __init__(self, backend: Backend, meter: Meter) -> None:
        self._backend, self._meter = backend, meter

    def generate(self, prompt: str, options: Options) -> Iterator[Piece]:
        """Go on from a raw prompt."""
        return self._metered(lambda: self._backend.generate(prompt, options))

    def chat(self, messages: Sequence[Message], options: Options) -> Iterator[Piece]:
        """Answer the last message."""
        return self._metered(lambda: self._backend.chat(messages, options))

    def count_tokens(self, text: str) -> int:
        """The number of tokens that a text has for this model."""
        return self._backend.count_tokens(text)

    def info(self) -> ModelInfo:
        """The model that is served and its limits."""
        return self._backend.info()

    def _metered(self, begin: Callable[[], Iterator[Piece]]) -> Iterator[Piece]:
        self._meter.check_time()
        self._meter.count("model_calls")
        with closing(begin()) as pieces:  # type: ignore[type-var]  # all are generators
            while True:
                with watched(self._meter.check_time):
                    piece = next(pieces, None)
                if piece is None:
                    return
                self._meter.check_time()
                self._meter.count("tokens", piece.prompt_tokens + piece.completion_tokens)
                yield piece
