"""The engine's HTTP edge: bodies in, refusals and event streams out, the key at the door.

What every route shares; the routes themselves are in `text_routes.py` and `embed_routes.py`.
"""

import asyncio
import hmac
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from llmasos.engine.refusals import Malformed, Refusal, Unauthorized
from llmasos.engine.schemas import without_nulls
from llmasos.engine.texts import Run

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
        raw = bytearray()
        async for part in request.stream():
            raw += part
            if len(raw) > MAX_BODY_BYTES:
                raise Malformed(f"The body has more than {MAX_BODY_BYTES} bytes", 413)
        try:
            plain = json.loads(raw, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            reason = f"Failed to parse the request body as JSON: {error}"
            raise Malformed(reason, 400) from None
        try:
            return model.model_validate(without_nulls(plain))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            words = f"{where}: {first['msg']}" if where else first["msg"]
            reason = f"Failed to deserialize the JSON body into the target type: {words}"
            raise Malformed(reason) from None

    return read


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


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
    watch = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else None
    finally:
        watch.cancel()
        task.cancel()
        await asyncio.gather(watch, task, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def event(data: Any) -> bytes:
    """One server-sent event."""
    return b"data:" + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


class RunEvents(StreamingResponse):
    """The events of a run; closes the run however the response ends."""

    def __init__(self, run: Run, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(
            self._kept_alive(),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no", "Cache-Control": "no-cache"},
        )
        self._run, self._events = run, events
        self._following: asyncio.Future[bytes | None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until they end or the client goes away."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._following:  # must have ended before what it waits for can be closed
                self._following.cancel()
                await asyncio.gather(self._following, return_exceptions=True)
            await self._events.aclose()
            await self._run.close()

    async def _kept_alive(self) -> AsyncIterator[bytes]:
        """The events, and comments while there are none; a refusal is the last event."""
        while True:
            self._following = asyncio.ensure_future(anext(self._events, None))
            while not (await asyncio.wait({self._following}, timeout=KEEP_ALIVE_SECONDS))[0]:
                yield b":\n\n"
            try:
                following = self._following.result()
            except Refusal as refusal:
                yield event(refusal.body())
                return
            if following is None:
                return
            yield following
