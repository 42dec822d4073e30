"""Socket Mode: the process that keeps a WebSocket to Slack and takes events in over it.

The SDK reconnects by itself; the watchdog ends the process when it has had no connection for a
minute, and whoever supervises it starts a new one. Start reading at `serve`.
"""

import asyncio
import signal

import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from integrations.slack.app import Edge
from integrations.slack.calls import as_token_error, explained
from integrations.slack.desk import Desk
from integrations.slack.edge_calls import TIMEOUT
from integrations.slack.errands import UNREACHED
from llmasos.errors import ChannelUnavailable, SettingsError
from llmasos.settings import SlackSettings

log = structlog.get_logger()

PATIENCE = 60.0
"""Seconds without a connection after which the process gives up."""
FAREWELL = 5.0
"""Seconds for what is still to be said when the process ends."""
LOOK = 5.0
"""Seconds between two looks at the connection."""


def run(settings: SlackSettings, desk: Desk) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises SettingsError when a token is not set or Slack does not take it, and ChannelUnavailable
    when Slack cannot be reached.
    """
    asyncio.run(_until_told(settings, desk))


async def _until_told(settings: SlackSettings, desk: Desk) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, desk, stop)


async def serve(settings: SlackSettings, desk: Desk, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Raises as `run` does."""
    if not settings.on or settings.app_token is None:
        missing = "app_token" if settings.on else "bot_token"
        begins = "xapp-" if settings.on else "xoxb-"
        raise SettingsError(
            f"slack.{missing}", "", f"Socket Mode needs the token that begins with {begins}"
        )
    app_token = settings.app_token.get_secret_value()
    client = AsyncWebClient(base_url=settings.api_url, timeout=TIMEOUT, retry_handlers=[])
    edge = Edge(settings, desk)
    who = await edge.bots.of(None)
    first = await _first_url(client, app_token)
    handler = AsyncSocketModeHandler(edge.app, app_token, web_client=client)
    handler.client.wss_uri = first
    try:
        await handler.connect_async()  # type: ignore[no-untyped-call]
        log.info("slack.connected", team=who.team if who else "those that have the app")
        await _watch(handler, stop)
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]
        await edge.errands.finish(FAREWELL)
    log.info("slack.stopped")


async def _first_url(client: AsyncWebClient, app_token: str) -> str:
    """Ask for the first connection ourselves: the SDK would try a wrong token for ever."""
    try:
        answer = await client.apps_connections_open(app_token=app_token)
    except SlackApiError as error:
        raise as_token_error(explained(error), "slack.app_token") from error
    except UNREACHED as error:
        reason = f"Slack's API at {client.base_url} does not answer: {error!r}"
        raise ChannelUnavailable("slack", reason) from error
    return str(answer["url"])


async def _watch(handler: AsyncSocketModeHandler, stop: asyncio.Event) -> None:
    """Wait for the end. Raises ChannelUnavailable when there is no connection for too long."""
    lost_for = 0.0
    while True:
        try:
            await asyncio.wait_for(stop.wait(), LOOK)
        except TimeoutError:
            connected = await handler.client.is_connected()
            lost_for = 0.0 if connected else lost_for + LOOK
        else:
            return
        if lost_for >= PATIENCE:
            raise ChannelUnavailable(
                "slack", f"the Socket Mode connection has been gone for {lost_for:.0f} seconds"
            )
