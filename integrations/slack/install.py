"""Adding the app to a workspace: `GET /slack/install` and `GET /slack/oauth_redirect`.

Bolt's own flow asks Slack for a token and gives it to `installations.py`. What it hands to a
browser and gets back, the state, is signed and holds for ten minutes, and the browser must bring
the cookie that it was given. Start reading at `install_routes`.
"""

import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Sequence

import structlog
from slack_bolt import BoltResponse
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.oauth.async_callback_options import (
    AsyncCallbackOptions,
    AsyncFailureArgs,
    AsyncSuccessArgs,
)
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore
from slack_sdk.web.async_client import AsyncWebClient
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from integrations.slack.errands import UNREACHED
from integrations.slack.installations import Installations, NotTaken
from integrations.slack.manifest import SCOPES
from llmasos.settings import SlackSettings

log = structlog.get_logger()

INSTALL, REDIRECT = "/slack/install", "/slack/oauth_redirect"
HOLDS = 600
"""Seconds for which a state holds."""
TIMEOUT = 10
"""Seconds to wait for Slack."""
_STATE = re.compile(r"[0-9]{1,12}\.[0-9a-f]{32}\.[0-9a-f]{64}")
AGAIN = "Nothing was added. Begin again at /slack/install."


class States(AsyncOAuthStateStore):
    """States that any of our processes knows again: signed, nowhere kept.

    Slack takes each code once, so a state that comes twice adds nothing twice.
    """

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"llmasos: states of Slack's flow" + secret.encode()).digest()

    async def async_issue(self, *args: object, **kwargs: object) -> str:
        """A new state."""
        plain = f"{int(time.time()) + HOLDS}.{secrets.token_hex(16)}"
        return f"{plain}.{self._signature(plain)}"

    async def async_consume(self, state: str) -> bool:
        """Whether a state is ours and still holds."""
        if not _STATE.fullmatch(state):
            return False
        plain, _, signature = state.rpartition(".")
        right = hmac.compare_digest(signature, self._signature(plain))
        return right and time.time() < int(plain.partition(".")[0])

    def _signature(self, plain: str) -> str:
        return hmac.new(self._key, plain.encode(), hashlib.sha256).hexdigest()


def install_routes(settings: SlackSettings, installations: Installations | None) -> list[Route]:
    """The routes to mount; none for an app with a bot token of its own."""
    if installations is None or settings.client_id is None or settings.client_secret is None:
        return []
    secret = settings.client_secret.get_secret_value()
    quiet = logging.getLogger("slack_bolt.oauth")
    quiet.setLevel(logging.CRITICAL)  # it would log codes
    flow = AsyncOAuthFlow(
        client=AsyncWebClient(base_url=settings.api_url, timeout=TIMEOUT, retry_handlers=[]),
        logger=quiet,
        settings=AsyncOAuthSettings(
            client_id=settings.client_id,
            client_secret=secret,
            scopes=list(SCOPES),
            user_scopes=[],
            install_page_rendering_enabled=False,
            authorization_url=f"{settings.api_url.removesuffix('api/')}oauth/v2/authorize",
            callback_options=AsyncCallbackOptions(_added, _not_added),
            installation_store=installations,
            installation_store_bot_only=True,
            state_store=States(secret),
            state_expiration_seconds=HOLDS,
            logger=quiet,
        ),
    )

    async def install(request: Request) -> Response:
        begun = await flow.handle_installation(to_async_bolt_request(request, b""))
        return to_starlette_response(begun)

    async def redirect(request: Request) -> Response:
        try:
            ended = await flow.handle_callback(to_async_bolt_request(request, b""))
        except UNREACHED as error:
            log.warning("slack.not_installed", reason=type(error).__name__)
            return PlainTextResponse(f"Slack does not answer. {AGAIN}", status_code=503)
        return to_starlette_response(ended)

    return [
        Route(INSTALL, install, methods=["GET"]),
        Route(REDIRECT, redirect, methods=["GET"]),
    ]


async def _added(args: AsyncSuccessArgs) -> BoltResponse:
    named = args.installation.team_name or args.installation.team_id
    return _page(200, f"The app was added to {named}. You can close this page and go to Slack.")


async def _not_added(args: AsyncFailureArgs) -> BoltResponse:
    """Say why; the log has it, too."""
    log.warning("slack.not_installed", reason=args.reason)
    if isinstance(args.error, NotTaken):
        return _page(403, str(args.error))
    reason = re.sub(r"[^a-z_]", "", args.reason)[:50]  # it may be what a browser brought
    return _page(args.suggested_status_code, f"Slack's flow ended with {reason}. {AGAIN}")


def _page(status: int, words: str) -> BoltResponse:
    headers: dict[str, str | Sequence[str]] = {
        "Content-Type": "text/plain; charset=utf-8",
        "Cache-Control": "no-store",
    }
    return BoltResponse(status=status, body=words, headers=headers)
