"""Stop sequences: where a text that comes in pieces ends.

As in TGI the stop sequence itself belongs to the text. Pure; used by `texts.py`.
"""

from collections.abc import Sequence


class StopWatch:
    """Watches a growing text for the first of its stop sequences."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._reach = max((len(stop) for stop in self._stops), default=1) - 1
        self._tail = ""

    def feed(self, piece: str) -> tuple[str, bool]:
        """The part of the piece that belongs to the text, and whether the text ends with it."""
        window = self._tail + piece
        ends = [found + len(stop) for stop in self._stops if (found := window.find(stop)) >= 0]
        if ends:
            return piece[: min(ends) - len(self._tail)], True
        self._tail = window[-self._reach :] if self._reach else ""
        return piece, False
