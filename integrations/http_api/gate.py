"""The gate: what a request must be like before any route sees it.

First who sends it and whether they send too much; then the body, up to a limit, so that no route
waits for a slow sender or meets a body without end. Start reading at `Gate`.
"""

import re
from dataclasses import dataclass

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from integrations.http_api.callers import Caller, Callers
from integrations.http_api.limits import Budget, Limits
from integrations.http_api.refusals import problem, refusal
from llmasos.errors import KeyRefused, LLMasOSError
from llmasos.settings import Settings

BODY_SECONDS = 30.0
"""How long a sender may take for its body."""
SIGNED = ("/hooks/", "/slack/")
"""Routes that anyone may reach, since each request there proves its sender."""
OPEN = ("/healthz", "/readyz", "/docs", "/openapi.json")
"""Routes that anyone may reach, since they tell nothing that is not in the manual."""
UPLOAD = re.compile(r"/v1/knowledge/[^/]+/documents")
"""Where documents are sent, which may be larger than other bodies."""


@dataclass(frozen=True)
class Guard:
    """Who is let in, and how often. The methods wait for the database and the bus."""

    callers: Callers
    limits: Limits
    settings: Settings

    def admit(self, headers: Headers, peer: str) -> tuple[Caller, Budget | None]:
        """The caller, and what it has left of its requests; None: they are not counted.

        Raises KeyRefused, NotAllowed or RateExceeded.
        """
        web = self.settings.web
        try:
            caller = self.callers.find(headers, peer)
        except KeyRefused:
            self.limits.take(f"{peer} (without a key that works)", web.refusals_per_minute)
            raise
        if not caller.keyed or not web.requests_per_minute:
            return caller, None
        return caller, self.limits.take(caller.principal.id, web.requests_per_minute)


class Gate:
    """Lets requests in whose caller is known and whose body is not too large."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app, self._guard = app, guard
        settings = guard.settings
        self._largest_body = (settings.web.max_body_bytes, "web.max_body_bytes")
        self._largest_upload = (settings.knowledge.max_upload_bytes, "knowledge.max_upload_bytes")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on with its caller known and its body read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not scope["path"].startswith(SIGNED) and scope["path"] not in OPEN:
            peer = (scope.get("client") or ("",))[0]
            try:
                caller, budget = await run_in_threadpool(
                    self._guard.admit, Headers(scope=scope), peer
                )
            except LLMasOSError as error:
                await refusal(scope, error)(scope, receive, send)
                return
            scope["state"]["caller"] = caller
            send = _with_budget(send, budget)
        await self._admitted(scope, receive, send)

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        uploads = UPLOAD.fullmatch(scope["path"]) is not None
        limit, setting = self._largest_upload if uploads else self._largest_body
        try:
            with anyio.fail_after(BODY_SECONDS):
                body = await _read(receive, headers.get("content-length", ""), limit)
        except TimeoutError:
            late = f"The body did not arrive within {BODY_SECONDS:.0f} seconds."
            await problem(scope, 408, "RequestTimeout", late)(scope, receive, send)
        except _TooLarge:
            large = f"The body is larger than {limit} bytes ({setting})."
            response = problem(scope, 413, "ContentTooLarge", large)
            response.headers["connection"] = "close"  # the rest of it is not read
            await response(scope, receive, send)
        except _Gone:
            return
        else:
            await self._app(scope, _replayed(body, receive), send)


def _with_budget(send: Send, budget: Budget | None) -> Send:
    """Tell the caller with the answer what it has left."""
    if budget is None:
        return send

    async def telling(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(budget.headers())
        await send(message)

    return telling


class _TooLarge(Exception):
    """The body is larger than it may be."""


class _Gone(Exception):
    """The sender left before its body was complete."""


async def _read(receive: Receive, declared: str, limit: int) -> bytes:
    """The whole body, however it is sent; never more of it in memory than the limit and a piece."""
    if declared.isdecimal() and (len(declared) > 15 or int(declared) > limit):
        raise _TooLarge
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        body += message.get("body", b"")
        if len(body) > limit:
            raise _TooLarge
        if not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A channel that gives the body once, and then what really comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
