"""The wire to one model server: ask, stream events, and know what a refusal means.

Under the backends (`tgi.py`, `openai_compatible.py`), whose dialects it does not know. Whoever
waits here can be called off: see `watched`. Start reading at `Wire`.
"""

import functools
import json
import re
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore
import httpx

from llmasos.errors import (
    EngineError,
    EngineMisconfigured,
    EngineOverloaded,
    EngineRejected,
    EngineUnavailable,
    GenerationFailed,
)
from llmasos.generation import Piece

KEPT_SECONDS = 30.0
"""How long an idle connection is kept; servers keep theirs longer."""
SLICE = 0.2
"""Seconds between two questions whether a wait should go on."""
LONGEST_REST = 3600.0
"""The longest `Retry-After` that is believed, in seconds."""
LOOK_SECONDS = 5.0
"""How long a server may take to describe itself."""
NO_SUCH_PLACE = (404, 405, 501)

Check = Callable[[], None]
"""Asked while something waits; what it raises ends the wait."""
_checks = threading.local()


@contextmanager
def watched(check: Check) -> Iterator[None]:
    """Ask `check` a few times a second whenever this thread waits for a server in the block.

    What it raises ends the wait and closes the connection, so that the server stops too. Do not
    `yield` from within the block: the next step may be another thread's.
    """
    outer: tuple[Check, ...] = getattr(_checks, "now", ())
    _checks.now = (*outer, check)
    try:
        yield
    finally:
        _checks.now = outer


def pause(seconds: float) -> None:
    """Sleep, unless one of the checks of `watched` raises."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, SLICE))
        _ask_checks()


def _ask_checks() -> None:
    for check in getattr(_checks, "now", ()):
        check()


class Wire:
    """A pool of connections to one server.

    url: its base address. key: bearer token. connect_timeout and idle_timeout: seconds to a
    connection, and between two parts of an answer. meaning: what a refusal means in the server's
    dialect, from its status, payload and address; None leaves it to the status.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        connect_timeout: float = 5.0,
        idle_timeout: float = 120.0,
        meaning: Callable[[int, Any, str], EngineError | None] = lambda *_: None,
    ) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self._meaning = meaning
        self._http = httpx.Client(
            transport=_Transport(),
            timeout=httpx.Timeout(idle_timeout, connect=connect_timeout),
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )
        weakref.finalize(self, self._http.close)  # who forgets to close it leaves no socket open

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def fetch(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask, and parse the whole answer. Raises EngineError."""
        reply = self._answer(path, body)
        self._check(reply)
        try:
            return reply.json()
        except ValueError as error:
            words = f"it answers {path} with {_kind(reply)}, not with JSON"
            raise EngineMisconfigured(self.url, words) from error

    def look(self, path: str) -> Any:
        """What JSON there is at a path; None where there is no such path, or no JSON.

        Raises EngineError for every other refusal, and when it takes more than a few seconds.
        """
        reply = self._answer(path, None, httpx.Timeout(LOOK_SECONDS))
        if reply.status_code in NO_SUCH_PLACE:
            return None
        self._check(reply)
        try:
            return reply.json()
        except ValueError:
            return None

    def page(self, path: str, seconds: float) -> tuple[int, str]:
        """The status and text at a path, within a time. Raises EngineUnavailable."""
        reply = self._answer(path, None, httpx.Timeout(seconds))
        return reply.status_code, reply.text

    def events(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Ask, and give each server-sent event. Closing it closes the connection.

        Raises EngineUnavailable before the first event, GenerationFailed from then on.
        """
        begun = False
        try:
            with self._http.stream("POST", self.url + path, json=body) as reply:
                if not reply.is_success:
                    reply.read()
                    self._check(reply)
                for data in _data(reply.iter_lines()):
                    event = json.loads(data)
                    if not isinstance(event, dict):
                        raise ValueError("an event is no object")
                    if event.get("error"):
                        raise self._refused(200, event, 0.0)
                    begun = True
                    yield event
                if not begun and _kind(reply) == "text/html":
                    words = f"it answers {path} with a page for people, not with events"
                    raise EngineMisconfigured(self.url, words)
        except (httpx.HTTPError, ValueError) as error:
            if not begun:
                raise EngineUnavailable(self.url, reason(error)) from error
            words = f"The engine at {self.url} broke off: {reason(error)}"
            raise GenerationFailed(words) from error

    def _answer(
        self, path: str, body: dict[str, Any] | None, timeout: httpx.Timeout | None = None
    ) -> httpx.Response:
        more: dict[str, Any] = {"timeout": timeout} if timeout else {}
        method = "POST" if body is not None else "GET"
        try:
            return self._http.request(method, self.url + path, json=body, **more)
        except httpx.HTTPError as error:
            raise EngineUnavailable(self.url, reason(error)) from error
        except RuntimeError as error:  # httpx says so of a client that is closed
            raise EngineUnavailable(self.url, "its connections were closed") from error

    def _check(self, reply: httpx.Response) -> None:
        if reply.is_success:
            return
        try:
            payload = reply.json()
        except ValueError:
            payload = reply.text[:300]
        raise self._refused(reply.status_code, payload, retry_after(reply.headers))

    def _refused(self, status: int, payload: Any, wait: float) -> EngineError:
        """What an error payload means, whatever its shape. wait: seconds that it asks for."""
        plain = payload if isinstance(payload, dict) else {"error": payload}
        message = plain.get("error") or plain.get("message") or f"HTTP status {status}"
        if isinstance(message, dict):  # OpenAI's form
            status = message["code"] if isinstance(message.get("code"), int) else status
            message = message.get("message", message)
        if status in (401, 403):
            words = (
                f"it does not take the key (HTTP {status}): set llm.api_key "
                "(LLMASOS_LLM__API_KEY), or api_key of that backend in llm.models"
            )
            return EngineMisconfigured(self.url, words)
        if status in NO_SUCH_PLACE:
            return EngineMisconfigured(self.url, f"it says: {message} (HTTP {status})")
        if 300 <= status < 400:
            words = f"it sends elsewhere (HTTP {status}): name the address that answers itself"
            return EngineMisconfigured(self.url, words)
        if status == 429 or (status == 503 and wait):
            return EngineOverloaded(self.url, wait)
        told = self._meaning(status, {**plain, "error": str(message)}, self.url)
        if told is not None:
            return told
        if status >= 500 or status == 408:
            return EngineUnavailable(self.url, str(message))
        return EngineRejected(f"The engine at {self.url} says: {message}")


def within(pieces: Iterator[Piece], seconds: float | None, url: str) -> Iterator[Piece]:
    """The pieces, as long as they come in time.

    seconds: for all of them; None: no limit. Raises EngineUnavailable when it is over before the
    first piece, GenerationFailed after it.
    """
    until = time.monotonic() + (float("inf") if seconds is None else seconds)
    begun = False

    def in_time() -> None:
        if time.monotonic() < until:
            return
        if begun:
            raise GenerationFailed(f"The engine at {url} did not finish within {seconds:g} s.")
        raise EngineUnavailable(url, f"no answer within {seconds:g} s")

    with closing(pieces):  # type: ignore[type-var]  # all are generators
        while True:
            with watched(in_time):
                piece = next(pieces, None)
            if piece is None:
                return
            if piece.finish_reason is None:
                in_time()  # a steady drip never waits, and so is not asked there
            begun = True
            yield piece


def retry_after(headers: httpx.Headers) -> float:
    """The seconds that a `Retry-After` asks for (RFC 9110, 10.2.3); 0 when there is none."""
    said = headers.get("retry-after", "").strip()
    if not said:
        return 0.0
    try:
        seconds = float(said)
    except ValueError:
        try:
            moment = parsedate_to_datetime(said)
        except ValueError:
            return 0.0
        seconds = (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_REST) if seconds == seconds else 0.0


def reason(error: Exception) -> str:
    """Why a server does not answer, in a few words."""
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, httpx.TimeoutException):
        return "nothing came in time"
    said = re.sub(r"^\[Errno -?\d+\] ", "", str(error))
    return said[:1].lower() + said[1:] or type(error).__name__


def _data(lines: Iterable[str]) -> Iterator[str]:
    """The data of each event up to the end of the stream."""
    for line in lines:
        data = line[5:].strip() if line.startswith("data:") else ""
        if data == "[DONE]":
            return
        if data:
            yield data


def _kind(reply: httpx.Response) -> str:
    return str(reply.headers.get("content-type", "")).split(";")[0].strip() or "nothing known"


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Made once: it takes a while."""
    return httpx.create_ssl_context(trust_env=False)


class _Transport(httpx.HTTPTransport):
    """httpx's own, over sockets whose waits can be called off; httpx has no door for that."""

    def __init__(self) -> None:
        super().__init__(verify=_certificates(), trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=_certificates(),
            max_connections=None,
            keepalive_expiry=KEPT_SECONDS,
            network_backend=_Network(),
        )


class _Network(httpcore.SyncBackend):
    """Opens sockets whose waits can be called off."""

    def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        """Connect."""
        return _Stream(super().connect_tcp(*args, **kwargs))


class _Stream(httpcore.NetworkStream):
    """A socket, plain or TLS, that asks the checks while it waits to read."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what comes within the timeout, in slices as long as someone watches."""
        if not getattr(_checks, "now", ()):
            return self._inner.read(max_bytes, timeout)
        until = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            left = max(until - time.monotonic(), 0.001)
            try:
                return self._inner.read(max_bytes, min(left, SLICE))
            except httpcore.ReadTimeout:
                if left <= SLICE:
                    raise
            _ask_checks()

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        """Close the socket."""
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """The same connection, encrypted."""
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """What the socket knows of itself."""
        return self._inner.get_extra_info(info)
