"""Slack's edge: Bolt acknowledges, the intake translates and hands over, nothing else happens here.

The same app serves Socket Mode (`socket_mode.py`) and signed HTTP events (`http.py`). Every event
that nobody listens to is acknowledged: an unanswered one would be sent again and again, and in the
end Slack would close the subscription. Start reading at `Edge`.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.middleware.async_middleware import AsyncMiddleware
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.web.async_client import AsyncWebClient

from integrations.slack.actions import Actions
from integrations.slack.another_agent import AnotherAgent
from integrations.slack.blocks import ASK_AGENT, FEEDBACK_ACTION
from integrations.slack.bots import Bot, Bots
from integrations.slack.commands import Commands
from integrations.slack.desk import Desk
from integrations.slack.edge_calls import TIMEOUT
from integrations.slack.errands import Errands
from integrations.slack.home import CANCEL, RETRY, Home
from integrations.slack.intake import Intake
from integrations.slack.interactions import INTERACTIONS, Action, Interactions
from integrations.slack.opinions import Opinions
from integrations.slack.translate import farewell
from llmasos.errors import LLMasOSError, SettingsError
from llmasos.settings import SlackSettings

log = structlog.get_logger()

Next = Callable[[], Awaitable[BoltResponse]]

UNREADABLE = (ValueError, TypeError, AttributeError, LookupError)
"""What Bolt, or we, stumble with over a payload that is not whole."""


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
        self.bots = Bots(settings, desk.rates, desk.installations)
        self._intake = Intake(desk, settings, self.errands, home)
        self._commands = Commands(desk)
        self._interactions = Interactions(desk, self.errands, actions)
        self.app = bolt_app(settings, self.bots)
        self.app.middleware(self)
        self.app.error(_report)

    async def async_process(
        self, *, req: AsyncBoltRequest, resp: BoltResponse, next: Next
    ) -> BoltResponse:
        """Store what is asked, then answer Slack: whatever it is, it is acknowledged."""
        answer, workspace = None, req.context.team_id
        if req.body.get("type") == "app_rate_limited":
            log.warning("slack.events_dropped", workspace=workspace, next="Slack sends too many")
        elif workspace and farewell(req.body):
            log.warning("slack.removed", workspace=workspace)
            await self.bots.forget(workspace, _time_of(req.body))
        elif self._concerns_us(req.body) and (bot := await self.bots.of(workspace)):
            answer = await self._act(req.body, bot)
        return BoltResponse(status=200, body=answer or "")

    def _concerns_us(self, body: dict[str, Any]) -> bool:
        if body.get("type") == "event_callback":
            return self._intake.hears(body.get("event"))
        return isinstance(body.get("command"), str) or body.get("type") in INTERACTIONS

    async def _act(self, body: dict[str, Any], bot: Bot) -> dict[str, Any] | None:
        """Do what is asked; gives what Slack is answered with."""
        house = await self._intake.house(bot)
        if body.get("type") == "event_callback":
            await self._intake.take(body["event"], house, bot.calls)
            return None
        if "command" in body:
            said = await self._commands.answer(body, house)
            return {"response_type": "ephemeral", "text": said}
        return await self._interactions.take(body, house, bot.calls)


def bolt_app(settings: SlackSettings, bots: Bots) -> AsyncApp:
    """The Bolt app; who sends requests is checked by what hands them over.

    Raises SettingsError when there is no bot token, or the environment makes Bolt another app.
    """
    if not settings.on:
        raise SettingsError("slack.bot_token", "", "is needed: the token that begins with xoxb-")

    async def authorize(team_id: str | None) -> AuthorizeResult | None:
        """Who we are there; while that is not known, events are not acknowledged."""
        bot = await bots.of(team_id)
        if bot is None:
            return None
        return AuthorizeResult(
            enterprise_id=None,
            team_id=bot.team,
            bot_user_id=bot.user,
            bot_id=bot.bot_id,
            bot_token=bot.calls.client.token,
        )

    app = AsyncApp(
        name="llmasos",
        client=AsyncWebClient(base_url=settings.api_url, timeout=TIMEOUT, retry_handlers=[]),
        signing_secret="",
        request_verification_enabled=False,
        authorize=authorize,  # type: ignore[arg-type]  # it may say: nobody
        attaching_conversation_kwargs_enabled=False,
    )
    if app.oauth_flow is not None:
        raise SettingsError(
            "SLACK_CLIENT_ID", "", "makes Bolt expect other tokens: remove it from the environment"
        )
    return app


def _time_of(body: dict[str, Any]) -> float:
    """When an event happened."""
    told = body.get("event_time")
    return float(told) if isinstance(told, int | float) else time.time()


async def _report(error: Exception) -> BoltResponse | None:
    kind = type(error).__name__
    # What others say may hold a message's text: that goes to DEBUG only.
    ours = str(error) if isinstance(error, LLMasOSError) else ""
    log.error("slack.event_failed", kind=kind, error=ours, next="Slack sends it again")
    log.debug("slack.event_failed", exc_info=error)
    return BoltResponse(status=400, body="unreadable") if isinstance(error, UNREADABLE) else None
