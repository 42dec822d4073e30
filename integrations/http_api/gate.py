"""The gate: what a request must be like before any route sees it.

Bodies are read here, up to a limit, so that no route waits for a slow sender or meets a body
without end. Without API keys the caller is whoever uses this machine: pages in a browser and
callers behind a proxy are not. Start reading at `Gate`.
"""

import ipaddress
import re
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from integrations.http_api.refusals import problem

BODY_SECONDS = 30.0
"""How long a sender may take for its body."""
SIGNED = ("/hooks/", "/slack/")
"""Routes that anyone may reach, since each request there proves its sender."""
UPLOAD = re.compile(r"/v1/knowledge/[^/]+/documents")
"""Where documents are sent, which may be larger than other bodies."""
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


class Gate:
    """Lets requests in whose caller is on this machine and whose body is not too large."""

    def __init__(self, app: ASGIApp, max_body_bytes: int, max_upload_bytes: int) -> None:
        self._app = app
        self._largest_body = (max_body_bytes, "web.max_body_bytes")
        self._largest_upload = (max_upload_bytes, "knowledge.max_upload_bytes")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on with its body read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        reason = None if scope["path"].startswith(SIGNED) else why_not_local(headers)
        if reason:
            await problem(scope, 403, "NotAllowed", reason)(scope, receive, send)
            return
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


def why_not_local(headers: Headers) -> str | None:
    """Why a caller does not count as a user of this machine; None when it does.

    A page in a browser can send requests here: its Origin or Sec-Fetch-Site gives it away, and
    its Host does when it had its own name point to this machine (DNS rebinding).
    """
    if not is_loopback(_host(headers.get("host", ""))):
        return "Without API keys only this machine is served: the Host must be a loopback address."
    if any(name in headers for name in PROXY_HEADERS):
        return "Without API keys only this machine is served, not callers behind a proxy."
    origin, host = headers.get("origin"), headers.get("host")
    if origin is not None and origin != f"http://{host}":
        return "Pages of other sites may not call this API."
    navigates = headers.get("sec-fetch-mode") == "navigate" and origin is None
    if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not navigates:
        return "Pages of other sites may not call this API."
    return None


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own, and nobody else's by DNS."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host(header: str) -> str:
    """The name in a Host header, without its port; empty when there is none to be found."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


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
