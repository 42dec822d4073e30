"""Bots: who we are in the workspace that an event comes from, and how the edge calls Slack there.

With a bot token Slack is asked once; else it is read where installations are kept, and remembered
for some seconds. Start reading at `Bots.of`.
"""

import asyncio
import time
from dataclasses import dataclass

from slack_sdk.errors import SlackApiError

from integrations.slack.calls import as_token_error, explained
from integrations.slack.edge_calls import EdgeCalls
from integrations.slack.errands import UNREACHED
from integrations.slack.installations import Installations
from integrations.slack.limits import limits_of
from integrations.slack.shared import Shared
from llmasos.errors import ChannelUnavailable
from llmasos.rates import Rates
from llmasos.settings import SlackSettings

FRESH = 5.0
"""Seconds for which an installation is taken as it was read."""


@dataclass(frozen=True)
class Bot:
    """The bot in one workspace."""

    team: str
    user: str
    bot_id: str
    calls: EdgeCalls
    named: str | None = None
    """What addresses say of the workspace; None: there is only this one."""


class Bots:
    """The bot in each workspace. Lives in one event loop.

    installations: the workspaces that have added the app; None: there is one, by its token.
    """

    def __init__(
        self, settings: SlackSettings, rates: Rates, installations: Installations | None
    ) -> None:
        self._settings, self._rates, self._installations = settings, rates, installations
        self._only = Shared(self._identified)
        self._known: dict[str, tuple[float, str, Bot | None]] = {}

    async def of(self, workspace: str | None) -> Bot | None:
        """The bot in a workspace; None when the app is not installed there.

        Raises SettingsError when Slack does not take the bot token, ChannelUnavailable, or what the
        database raises.
        """
        if self._settings.bot_token is not None:
            return await self._only.get()
        if self._installations is None or workspace is None:
            return None
        until, token, bot = self._known.get(workspace, (0.0, "", None))
        if time.monotonic() < until:
            return bot
        found = await asyncio.to_thread(self._installations.find, workspace)
        if found is None or found.token is None:
            self._known.pop(workspace, None)
            return None
        if bot is None or found.token != token:
            calls = self._calls(found.token)
            bot = Bot(workspace, found.bot_user, found.bot_id, calls, workspace)
        self._known[workspace] = (time.monotonic() + FRESH, found.token, bot)
        return bot

    async def forget(self, workspace: str, at: float) -> None:
        """The app was removed from a workspace. at: when, in seconds since the epoch."""
        if self._installations is not None:
            await asyncio.to_thread(self._installations.remove, workspace, at)
            self._known.pop(workspace, None)

    async def _identified(self) -> Bot:
        """Ask Slack who the only bot is."""
        token = self._settings.bot_token
        calls = self._calls(token.get_secret_value() if token else "")
        try:
            told = await calls.client.auth_test()
        except SlackApiError as error:
            raise as_token_error(explained(error), "slack.bot_token") from error
        except UNREACHED as error:
            reason = f"Slack's API at {calls.client.base_url} does not answer: {error!r}"
            raise ChannelUnavailable("slack", reason) from error
        return Bot(str(told["team_id"]), str(told["user_id"]), str(told.get("bot_id")), calls)

    def _calls(self, token: str) -> EdgeCalls:
        return EdgeCalls(token, self._settings.api_url, limits_of(self._rates, token))
