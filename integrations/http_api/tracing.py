"""Tracing: each request has an id, a line in the log and a place in the metrics.

The id comes from the sender's `X-Request-ID` when it is a sensible one, is bound to every log line
of the request, and is sent back. No address, header or body is logged: they hold secrets and texts.
"""

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from integrations.http_api.metrics import Metrics
from integrations.http_api.refusals import problem

log = structlog.get_logger()

SENSIBLE = re.compile(r"[A-Za-z0-9._-]{1,100}")
QUIET = ("/healthz", "/readyz", "/metrics")
"""Asked every few seconds: not worth a line."""


class Tracing:
    """Follows a request from its first byte to its answer."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; what nobody foresaw becomes a plain 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if SENSIBLE.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = time.monotonic(), 0

        async def traced(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request=request_id):
            try:
                await self._app(scope, receive, traced)
            except Exception:  # the edge of the process: say it, answer, go on with the next
                log.exception("http.crashed", route=_route(scope))
                if status:
                    raise
                words = f"Something went wrong here. The log names it under request {request_id}."
                await problem(scope, 500, "InternalError", words)(scope, receive, traced)
            finally:
                seconds = time.monotonic() - began
                self._metrics.handled(scope["method"], _route(scope), status, seconds)
                if scope["path"] not in QUIET:
                    ms = round(seconds * 1000)
                    log.info(
                        "http.handled", method=scope["method"], route=_route(scope), status=status,
                        ms=ms,
                    )  # fmt: skip


def _route(scope: Scope) -> str:
    """The route's pattern: a path would name jobs, and make a metric for each."""
    return getattr(scope.get("route"), "path", "(none)")
