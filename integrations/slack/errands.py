"""Errands: what is done in Slack after it was answered, so that nothing waits for it.

One that fails costs a line in the log and nothing else. Start reading at `Errands.run`.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError, SlackClientError

from integrations.slack.calls import Limited

log = structlog.get_logger()

UNREACHED = (SlackClientError, aiohttp.ClientError, OSError, TimeoutError)
"""What a call that went wrong raises in the SDK's asynchronous client."""


class Errands:
    """The errands under way."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[None]] = set()
        self._closed = False

    def run(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        """Do this while the caller goes on. name: what the log calls it."""
        if self._closed:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(self._do(name, work))
        self._under_way.add(task)  # the loop alone would not keep it
        task.add_done_callback(self._under_way.discard)

    async def finish(self, seconds: float) -> None:
        """Take no more, and wait for those under way, for so many seconds."""
        self._closed = True
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _do(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except Limited as error:
            again_in = round(error.retry_after, 1)
            log.info("slack.errand_dropped", errand=name, again_in=again_in)
        except UNREACHED as error:
            log.warning("slack.errand_failed", errand=name, reason=reason_of(error))
        except Exception as error:
            log.error("slack.errand_broke", errand=name, kind=type(error).__name__)
            log.debug("slack.errand_broke", exc_info=error)


def reason_of(error: Exception) -> str:
    """An error of the SDK without the texts that it may carry."""
    if isinstance(error, SlackApiError):
        return str(error.response.get("error"))
    return type(error).__name__
