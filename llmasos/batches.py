"""Many requests at once: in order, and one that fails does not lose the others.

The server queues what it has no slot for, so that a batch needs no plan. Used by `LLM`.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from llmasos.errors import BatchFailed, LLMasOSError

T = TypeVar("T")
U = TypeVar("U")

AT_ONCE = 16
"""Requests on their way at the same time, at most."""


def answers(requests: Sequence[U], ask: Callable[[U], T]) -> list[T]:
    """The answer to each request, in order.

    Raises BatchFailed with all answers and errors once every request has ended. What is no error of
    the tree ends the batch at once, and so does an interruption.
    """
    if not requests:
        return []
    threads = ThreadPoolExecutor(min(AT_ONCE, len(requests)), thread_name_prefix="batch")
    try:
        futures = [threads.submit(ask, each) for each in requests]
        results: list[T | LLMasOSError] = [_result(each) for each in futures]
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
    whole = [each for each in results if not isinstance(each, LLMasOSError)]
    if len(whole) < len(results):
        raise BatchFailed(results)
    return whole


def _result(future: "Future[Any]") -> Any:
    """What came of a request, an error of the tree too."""
    try:
        return future.result()
    except LLMasOSError as error:
        return error
