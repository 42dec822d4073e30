"""Slack's events over HTTP: `POST /slack/events`, in the web process.

A request is Slack's when its raw bytes bear Slack's signature of the last five minutes; nothing of
it is parsed before. Start reading at `slack_routes`.
"""

import hashlib
import hmac
import re
import time

import structlog
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncApp
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from integrations.slack.app import UNREADABLE, Edge
from integrations.slack.desk import Desk
from integrations.slack.install import install_routes
from llmasos.settings import Settings

log = structlog.get_logger()

PATH = "/slack/events"
WINDOW = 300
"""Seconds for which a signature holds."""
_STAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")


def slack_routes(settings: Settings, desk: Desk) -> list[Route]:
    """The routes to mount: those to add the app at, if workspaces do, and that of the events.

    Events are taken with a signing secret; with an app token Slack sends them over Socket Mode.
    """
    slack, routes = settings.slack, install_routes(settings.slack, desk.installations)
    if not slack.on or slack.signing_secret is None or slack.app_token is not None:
        return routes
    receiver = _Receiver(
        Edge(slack, desk).app,
        slack.signing_secret.get_secret_value(),
        settings.web.max_body_bytes,
    )
    return [*routes, Route(PATH, receiver.receive, methods=["POST"])]


class _Receiver:
    """Hands Slack's requests to Bolt."""

    def __init__(self, app: AsyncApp, secret: str, max_bytes: int) -> None:
        self._app, self._secret, self._max_bytes = app, secret, max_bytes

    async def receive(self, request: Request) -> Response:
        """Answer one request."""
        body = await self._read(request)
        if body is None:
            return JSONResponse({"error": "the body is too large"}, status_code=413)
        if not is_slacks(body, request, self._secret):
            return JSONResponse({"error": "invalid request"}, status_code=401)
        try:
            taken = to_async_bolt_request(request, body)
            return to_starlette_response(await self._app.async_dispatch(taken))
        except UNREADABLE as error:
            # Bolt trusts what is signed to be whole. Slack sends it again, as after a 500.
            log.warning("slack.unreadable", kind=type(error).__name__)
            log.debug("slack.unreadable", exc_info=error)
            return JSONResponse({"error": "the body is not what Slack sends"}, status_code=400)

    async def _read(self, request: Request) -> bytes | None:
        """The body; None as soon as it is too large."""
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > self._max_bytes:
                return None
        return bytes(body)


def is_slacks(body: bytes, request: Request, secret: str) -> bool:
    """Whether a request bears Slack's signature, and a recent one."""
    stamp = request.headers.get("x-slack-request-timestamp", "")
    signature = request.headers.get("x-slack-signature", "")
    if not _STAMP.fullmatch(stamp) or not _SIGNATURE.fullmatch(signature):
        return False
    if abs(time.time() - int(stamp)) > WINDOW:
        return False
    base = b"v0:" + stamp.encode() + b":" + body
    right = "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return hmac.compare_digest(right, signature)
