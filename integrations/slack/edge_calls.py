"""The edge's own calls of Slack: notices, modals, homes, sessions. They keep the shared limits.

The limits are asked on a thread, so that the loop, in which events are acknowledged, waits for
nothing. Start reading at `EdgeCalls`.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from integrations.slack.calls import Limited, explained
from integrations.slack.limits import Limits

TIMEOUT = 8
"""Seconds to wait for Slack's Web API from the edge."""
PATIENCE = 120.0
"""Seconds for which what somebody must be told waits for its turn."""


class Turn(Enum):
    """When a call is made."""

    NOW = "now"
    """At once, and counted: a modal's trigger holds for three seconds."""
    MUST = "must"
    """When it is its turn: somebody waits for it."""
    SPARE = "spare"
    """Now if there is room, else never: it is only nice to have."""


class EdgeCalls:
    """One bot's calls from the edge.

    limits: those of the bot's workspace, kept by all processes.
    """

    def __init__(self, token: str, api_url: str, limits: Limits) -> None:
        self._limits = limits
        self.client = AsyncWebClient(
            token,
            base_url=api_url,
            timeout=TIMEOUT,
            retry_handlers=[],
            logger=logging.getLogger("slack_sdk.web"),
        )

    async def __call__(
        self,
        method: Callable[..., Awaitable[AsyncSlackResponse]],
        *,
        turn: Turn = Turn.MUST,
        **arguments: Any,
    ) -> AsyncSlackResponse:
        """Make a call: a method of `client`, and its arguments.

        Raises Limited when it is not made, and what the SDK raises.
        """
        name, who = method.__name__.replace("_", "."), f"edge:{secrets.token_hex(8)}"
        give_up = time.monotonic() + PATIENCE
        while True:
            wait = await self._wait(name, arguments, who, turn)
            if not wait:
                try:
                    return await method(**arguments)
                except SlackApiError as error:
                    told = explained(error)
                    if not isinstance(told, Limited):
                        raise
                    wait = told.retry_after
                    await asyncio.to_thread(self._limits.told, name, arguments, wait)
            if turn is not Turn.MUST or time.monotonic() + wait > give_up:
                raise Limited(wait)
            await asyncio.sleep(wait)

    async def _wait(self, name: str, arguments: dict[str, Any], who: str, turn: Turn) -> float:
        """The seconds until a call may be made; 0: it is counted as made."""
        must = turn is not Turn.SPARE
        wait = await asyncio.to_thread(self._limits.wait, name, arguments, who, must=must)
        return 0.0 if turn is Turn.NOW else wait
