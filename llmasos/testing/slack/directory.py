"""The workspaces of the stand-in, the bot's tokens in them, and Slack's way to add an app.

One workspace has the app from the start, by the stand-in's `bot_token`; others add it as at Slack:
a person allows it, which gives a code, and `oauth.v2.access` gives a token for the code, once.
"""

import base64
import secrets
from urllib.parse import parse_qs, urlencode, urlsplit

from llmasos.testing.slack.checks import Refusal
from llmasos.testing.slack.workspace import Json, Workspace


class Directory:
    """Who is where. first: the workspace that has the app from the start."""

    client_id = "1234.5678"
    client_secret = "stand-in-client-secret"

    def __init__(self, first: Workspace) -> None:
        self.workspaces = {first.team: first}
        self.redirect_url = "https://llmasos.test/slack/oauth_redirect"
        """Where browsers are sent with a code."""
        self._codes: dict[str, tuple[Workspace, str]] = {}
        self._tokens: dict[str, Workspace] = {}

    def workspace(self, team: str) -> Workspace:
        """A workspace, made when it is not there."""
        first = next(iter(self.workspaces.values()))
        if team not in self.workspaces:
            made = Workspace(team, f"U0BOT{team[1:]}", f"B0BOT{team[1:]}")
            made.address, made.users = first.address, dict(first.users)
            self.workspaces[team] = made
        return self.workspaces[team]

    def allow(self, url: str, team: str) -> str:
        """A person lets the app into a workspace at Slack's page; gives where the browser goes."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        if not url.partition("?")[0].endswith("/oauth/v2/authorize"):
            raise LookupError(f"{url} is not Slack's page")
        if asked.get("client_id") != self.client_id or not asked.get("scope"):
            raise LookupError(f"{url} names no app, or asks for nothing")
        code = secrets.token_hex(12)
        self._codes[code] = self.workspace(team), asked["scope"]
        return f"{self.redirect_url}?{urlencode({'code': code, 'state': asked.get('state', '')})}"

    def exchange(self, authorization: str, arguments: Json) -> Json:
        """`oauth.v2.access`: a token for a code."""
        kind, _, words = authorization.partition(" ")
        right = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        if kind != "Basic" or words != right:
            raise Refusal("bad_client_secret")
        workspace, scope = self._codes.pop(str(arguments.get("code")), (None, ""))
        if workspace is None:
            raise Refusal("invalid_code")
        return {
            "access_token": self.token(workspace.team),
            "token_type": "bot",
            "scope": scope,
            "bot_user_id": workspace.bot_user,
            "app_id": workspace.app,
            "team": {"id": workspace.team, "name": f"Team {workspace.team}"},
            "enterprise": None,
            "authed_user": {"id": "U0ANN"},
            "is_enterprise_install": False,
        }

    def token(self, team: str) -> str:
        """A new token that opens a workspace."""
        made = f"xoxb-{team}-{secrets.token_hex(6)}"
        self._tokens[made] = self.workspace(team)
        return made

    def of_token(self, token: str) -> Workspace | None:
        """The workspace that a token opens."""
        return self._tokens.get(token)

    def revoke(self, team: str) -> None:
        """Let no token open a workspace any more."""
        self._tokens = {t: space for t, space in self._tokens.items() if space.team != team}
