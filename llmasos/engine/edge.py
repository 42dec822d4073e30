"""The engine's HTTP edge: bodies in, refusals and event streams out, the key at the door.

What every route shares; the routes themselves are in `text_routes.py` and `embed_routes.py`.
"""

import asyncio
import hmac
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Protocol, TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmasos.engine.refusals import Malformed, Refusal, Unauthorized
from llmasos.engine.schemas import without_nulls

MAX_BODY_BYTES = 4_000_000
KEEP_ALIVE_SECONDS = 15.0
OPEN_PATHS = ("/health",)
Body = TypeVar("Body", bound=BaseModel)
Result = TypeVar("Result")


def refusal_response(_: Request, error: Exception) -> Response:
    """A refusal as TGI answers it."""
    assert isinstance(error, Refusal)
    return JSONResponse(error.body(), error.status)


def body_of(model: type[Body]) -> Callable[[Request], Awaitable[Body]]:
    """A dependency that reads the request's body as a model. Raises Malformed."""

    async def read(request: Request) -> Body:
        """Read it, as far as it may be long."""
        _, plain = await json_of(request)
        try:
            return model.model_validate(without_nulls(plain))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            words = f"{where}: {first['msg']}" if where else first["msg"]
            reason = f"Failed to deserialize the JSON body into the target type: {words}"
            raise Malformed(reason) from None

    return read


async def json_of(request: Request) -> tuple[bytes, Any]:
    """A request's body as it came, and what it says. Raises Malformed."""
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > MAX_BODY_BYTES:
            raise Malformed(f"The body has more than {MAX_BODY_BYTES} bytes", 413)
    try:
        return bytes(raw), orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        reason = f"Failed to parse the request body as JSON: {error}"
        raise Malformed(reason, 400) from None


class Forwarded(Response):
    """The answer of another route to the same request. body: the request's, already read."""

    def __init__(self, app: ASGIApp, path: str, body: bytes) -> None:
        super().__init__()
        self._app, self._path, self._again = app, path, body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask the other route."""
        unread = True

        async def body_first() -> Message:
            nonlocal unread
            if unread:
                unread = False
                return {"type": "http.request", "body": self._again, "more_body": False}
            return await receive()

        there = {**scope, "path": self._path, "raw_path": self._path.encode()}
        await self._app(there, body_first, send)


class BearerGate:
    """Lets in who bears the key; some paths are open."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._expected = f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 unless the request bears the key."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                refusal = Unauthorized()
                await JSONResponse(refusal.body(), refusal.status)(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def unless_gone(request: Request, work: Awaitable[Result]) -> Result | None:
    """The result, or None when the client went away first, which cancels the work."""
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(gone(request.receive))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else None
    finally:
        watch.cancel()
        task.cancel()
        await asyncio.gather(watch, task, return_exceptions=True)


async def gone(receive: Receive) -> None:
    """Wait until the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


def event(data: Any) -> bytes:
    """One server-sent event."""
    return b"data:" + orjson.dumps(data) + b"\n\n"


class Running(Protocol):
    """What is being generated: `Run`, `Chat` and the like."""

    async def close(self) -> None:
        """Stop it if it still runs, and give everything back."""


class RunEvents(Response):
    """The events of a run as they come; closes the run however the response ends."""

    media_type = "text/event-stream"

    def __init__(self, run: Running, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no", "Cache-Control": "no-cache"})
        del self.headers["content-length"]  # nobody knows it yet
        self._run, self._events = run, events
        self._sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until they end or the client goes away."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        sending = asyncio.ensure_future(self._send(send))
        others = [
            asyncio.ensure_future(gone(receive)),
            asyncio.ensure_future(self._keep_alive(send)),
        ]
        try:
            await asyncio.wait({sending, *others}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            for task in (sending, *others):  # each must have ended before it can be closed
                task.cancel()
            await asyncio.gather(sending, *others, return_exceptions=True)
            await self._events.aclose()
            await self._run.close()

    async def _send(self, send: Send) -> None:
        """Send the events; a refusal is the last one."""
        try:
            async for part in self._events:
                self._sent += 1
                await send({"type": "http.response.body", "body": part, "more_body": True})
        except Refusal as refusal:
            last = event(refusal.body())
            await send({"type": "http.response.body", "body": last, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _keep_alive(self, send: Send) -> None:
        """Send comments while there is nothing else, so that nobody in between hangs up."""
        while True:
            before = self._sent
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            if self._sent == before:
                await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
