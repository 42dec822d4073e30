"""Doing the next thing while the last one is being worked on, with a bound on how far ahead."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
_END = object()


def ahead(items: Generator[T, None, None], most: int) -> Iterator[T]:
    """The items, made in a thread of their own; at most so many wait to be taken.

    What the making of an item raises is raised when its turn comes. Who takes no more of them
    closes this, and the making ends.
    """
    with ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(next, items, _END) for _ in range(most))
        try:
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(thread.submit(next, items, _END))
                yield item  # type: ignore[misc]  # it is a T: it is not the end
        finally:
            for each in waiting:
                each.cancel()
            thread.submit(items.close)
