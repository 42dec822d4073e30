"""Slack's edge: Bolt acknowledges, the intake translates and hands over, nothing else happens here.

The same app serves Socket Mode (`socket_mode.py`) and signed HTTP events (`http.py`). Every event
that nobody listens to is acknowledged: an unanswered one would be sent again and again, and in the
end Slack would close the subscription. Start reading at `Edge`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.middleware.async_middleware import AsyncMiddleware
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from integrations.slack.actions import Actions
from integrations.slack.another_agent import AnotherAgent
from integrations.slack.blocks import ASK_AGENT, FEEDBACK_ACTION
from integrations.slack.calls import as_token_error, explained
from integrations.slack.commands import Commands
from integrations.slack.desk import Desk
from integrations.slack.errands import UNREACHED, Errands
from integrations.slack.home import CANCEL, RETRY, Home
from integrations.slack.intake import Intake
from integrations.slack.interactions import INTERACTIONS, Action, Interactions
from integrations.slack.opinions import Opinions
from integrations.slack.translate import House
from llmasos.errors import ChannelUnavailable, LLMasOSError, SettingsError
from llmasos.settings import SlackSettings

log = structlog.get_logger()

Next = Callable[[], Awaitable[BoltResponse]]

UNREADABLE = (ValueError, TypeError, AttributeError, LookupError)
"""What Bolt, or we, stumble with over a payload that is not whole."""
TIMEOUT = 8
"""Seconds to wait for Slack's Web API from the edge."""


class Edge(AsyncMiddleware):
    """Slack's edge: what Bolt hands every request to, and what is done after the answer.

    No function of Bolt's own: for these it reads more of a body than is sure to be there.
    """

    def __init__(self, settings: SlackSettings, desk: Desk) -> None:
        """Raises SettingsError as `bolt_app` does."""
        self.errands = Errands()
        home, opinions = Home(desk, self.errands), Opinions(desk, self.errands)
        actions: dict[str, Action] = {
            FEEDBACK_ACTION: opinions.keep,
            CANCEL: home.act,
            RETRY: home.act,
            ASK_AGENT: AnotherAgent(desk, self.errands).ask,
            **Actions(desk, self.errands).by_id(),
        }
        self._intake = Intake(desk, settings, self.errands, home)
        self._commands = Commands(desk)
        self._interactions = Interactions(desk, self.errands, actions)
        self.app = bolt_app(settings)
        self.app.middleware(self)
        self.app.error(_report)

    async def async_process(
        self, *, req: AsyncBoltRequest, resp: BoltResponse, next: Next
    ) -> BoltResponse:
        """Store what is asked, then answer Slack: whatever it is, it is acknowledged."""
        who, answer = req.context.authorize_result, None
        if who is not None and self._concerns_us(req.body):
            client = req.context.client
            house = await self._intake.house(str(who.team_id), str(who.bot_user_id), client)
            answer = await self._act(req.body, house, client)
        return BoltResponse(status=200, body=answer or "")

    def _concerns_us(self, body: dict[str, Any]) -> bool:
        if body.get("type") == "event_callback":
            return self._intake.hears(body.get("event"))
        return isinstance(body.get("command"), str) or body.get("type") in INTERACTIONS

    async def _act(
        self, body: dict[str, Any], house: House, client: AsyncWebClient
    ) -> dict[str, Any] | None:
        """Do what is asked; gives what Slack is answered with."""
        if body.get("type") == "event_callback":
            await self._intake.take(body["event"], house, client)
            return None
        if "command" in body:
            said = await self._commands.answer(body, house)
            return {"response_type": "ephemeral", "text": said}
        return await self._interactions.take(body, house, client)


def bolt_app(settings: SlackSettings) -> AsyncApp:
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
    return app


async def _report(error: Exception) -> BoltResponse | None:
    kind = type(error).__name__
    # What others say may hold a message's text: that goes to DEBUG only.
    ours = str(error) if isinstance(error, LLMasOSError) else ""
    log.error("slack.event_failed", kind=kind, error=ours, next="Slack sends it again")
    log.debug("slack.event_failed", exc_info=error)
    return BoltResponse(status=400, body="unreadable") if isinstance(error, UNREADABLE) else None


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
