"""Slack's edge: Bolt acknowledges, the intake translates and hands over, nothing else happens here.

The same app serves Socket Mode (`socket_mode.py`) and signed HTTP events (`http.py`). Every event
that nobody listens to is acknowledged: an unanswered one would be sent again and again, and in the
end Slack would close the subscription. Start reading at `bolt_app`.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from integrations.slack.blocks import FEEDBACK_ACTION
from integrations.slack.calls import as_token_error, explained
from integrations.slack.desk import Desk
from integrations.slack.intake import UNREACHED, Intake
from llmasos.errors import ChannelUnavailable, SettingsError
from llmasos.settings import SlackSettings

log = structlog.get_logger()

UNREADABLE = (ValueError, TypeError, AttributeError, LookupError)
"""What Bolt, or we, stumble with over a payload that is not whole."""
TIMEOUT = 8
"""Seconds to wait for Slack's Web API from the edge."""

_ANY = re.compile(".*")
Next = Callable[[], Awaitable[Any]]


def bolt_app(settings: SlackSettings, desk: Desk) -> AsyncApp:
    """The Bolt app; who sends requests is checked by what hands them over.

    Raises SettingsError when there is no bot token, or the environment makes Bolt another app.
    """
    if settings.bot_token is None:
        raise SettingsError("slack.bot_token", "", "is needed: the token that begins with xoxb-")
    client = AsyncWebClient(
        settings.bot_token.get_secret_value(),
        base_url=settings.api_url,
        timeout=TIMEOUT,
        retry_handlers=[],
        logger=logging.getLogger("slack_sdk.web"),
    )
    app = AsyncApp(
        name="llmasos",
        client=AsyncWebClient(base_url=settings.api_url, timeout=TIMEOUT, retry_handlers=[]),
        signing_secret="",
        request_verification_enabled=False,
        authorize=_authorize(client),
        attaching_conversation_kwargs_enabled=False,
    )
    if app.oauth_flow is not None:
        raise SettingsError(
            "SLACK_CLIENT_ID", "", "makes Bolt expect other tokens: remove it from the environment"
        )
    register(app, Intake(desk, settings))
    return app


def register(app: AsyncApp, intake: Intake) -> None:
    """Let the intake have what the app receives."""

    @app.middleware
    async def take_in(
        body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient, next: Next
    ) -> BoltResponse | None:
        """Store what is asked before Slack is answered; let Bolt go on with the rest."""
        if body.get("type") == "block_actions":
            await next()
            return None
        event = body.get("event")
        if body.get("type") == "event_callback" and isinstance(event, dict):
            who = context.authorize_result
            if who is not None:
                await intake.take(event, str(who.team_id), str(who.bot_user_id), client)
            if event.get("type") == "app_home_opened":
                await next()
                return None
        return BoltResponse(status=200, body="")

    @app.event("app_home_opened")
    async def offer_prompts(event: dict[str, Any], client: AsyncWebClient) -> None:
        await intake.offer_prompts(event, client)

    @app.action(FEEDBACK_ACTION)
    async def keep_opinion(
        ack: Callable[[], Awaitable[Any]], body: dict[str, Any], context: AsyncBoltContext
    ) -> None:
        await ack()
        await intake.keep_opinion(body, str(context.team_id))

    @app.action({"action_id": _ANY})
    async def ignore(ack: Callable[[], Awaitable[Any]]) -> None:
        await ack()

    @app.error
    async def report(error: Exception) -> BoltResponse | None:
        kind = type(error).__name__
        log.error("slack.event_failed", kind=kind, error=str(error), next="Slack sends it again")
        log.debug("slack.event_failed", exc_info=error)
        return (
            BoltResponse(status=400, body="unreadable") if isinstance(error, UNREADABLE) else None
        )


def _authorize(client: AsyncWebClient) -> Callable[..., Awaitable[AuthorizeResult]]:
    """Who we are, asked of Slack once; while that fails, events are not acknowledged."""
    known: list[AuthorizeResult] = []
    asking = asyncio.Lock()

    async def authorize() -> AuthorizeResult:
        async with asking:
            if not known:
                known.append(await identify(client))
        return known[0]

    return authorize


async def identify(client: AsyncWebClient) -> AuthorizeResult:
    """Ask Slack who the bot is.

    Raises SettingsError when Slack does not take the token, or ChannelUnavailable.
    """
    try:
        told = await client.auth_test()
    except SlackApiError as error:
        raise as_token_error(explained(error), "slack.bot_token") from error
    except UNREACHED as error:
        reason = f"Slack's API at {client.base_url} does not answer: {error!r}"
        raise ChannelUnavailable("slack", reason) from error
    return AuthorizeResult(
        enterprise_id=told.get("enterprise_id"),
        team_id=told.get("team_id"),
        bot_user_id=told.get("user_id"),
        bot_id=told.get("bot_id"),
        bot_token=client.token,
    )
