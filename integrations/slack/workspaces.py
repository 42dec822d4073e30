"""Workspaces: whose bot answers where. Each workspace has its own token, calls and limits.

With a bot token there is one, which nobody needs to name; else it is every workspace that has added
the app (`installations.py`). Used by workers and edges. Start reading at `Workspaces.calls`.
"""

import threading

from integrations.slack.calls import Calls, Refused, sync_client
from integrations.slack.installations import Installations, Installed, installations_of
from integrations.slack.limits import limits_of
from llmasos.database import Database
from llmasos.rates import Rates, open_rates
from llmasos.settings import Settings, SlackSettings
from llmasos.system import addresses


class Workspaces:
    """The bot's calls in each workspace. Safe to use from several threads.

    rates: what all processes keep Slack's limits by; installations: where tokens are kept; None:
    the settings have the only one.
    """

    def __init__(
        self, settings: SlackSettings, rates: Rates, installations: Installations | None
    ) -> None:
        self._settings, self._rates, self._installations = settings, rates, installations
        self._lock = threading.Lock()
        self._made: dict[str, tuple[str, Calls]] = {}
        token = settings.bot_token
        self._only = self._new(token.get_secret_value()) if token else None

    def calls(self, workspace: str | None) -> Calls:
        """The calls of the bot in a workspace; None: in the only one.

        Raises Refused when it is not installed there, and DatabaseUnavailable.
        """
        if self._only is not None:
            return self._only
        found = self._found(workspace)
        if found.token is None:
            raise Refused("sealed_otherwise")
        with self._lock:
            token, calls = self._made.get(found.workspace, ("", None))
            if calls is None or token != found.token:
                calls = self._new(found.token)
                self._made[found.workspace] = found.token, calls
        return calls

    def _found(self, workspace: str | None) -> Installed:
        kept = self._installations
        if kept is None:
            raise Refused("not_authed")
        if workspace is not None:
            found = kept.find(workspace)
            if found is None:
                raise Refused("not_installed")
            return found
        all_of_them = kept.all()
        if len(all_of_them) != 1:
            raise Refused("which_workspace" if all_of_them else "not_installed")
        return all_of_them[0]

    def _new(self, token: str) -> Calls:
        client = sync_client(token, self._settings.api_url)
        return Calls(client, limits_of(self._rates, token))


def workspaces_of(settings: Settings, database: Database) -> Workspaces | None:
    """The workspaces of these settings; None when there is no bot."""
    if not settings.slack.on:
        return None
    rates = open_rates(addresses(settings).bus_url)
    return Workspaces(settings.slack, rates, installations_of(settings.slack, database))
