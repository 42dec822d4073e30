"""How events reach the app: over its Socket Mode connections, or signed to its URL.

Each event is delivered until it is acknowledged, three times more at most, as Slack does.
"""

import asyncio
import json
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from llmasos.testing.slack.signing import signed_headers
from llmasos.testing.slack.workspace import Json


@dataclass
class Delivery:
    """One event on its way."""

    body: Json
    kind: str = "events_api"
    tries: int = 0
    acknowledged: bool = False
    given_up: bool = False
    answers: list[int] = field(default_factory=list)
    """The statuses of the HTTP answers; 0: none came."""
    seconds: list[float] = field(default_factory=list)
    """How long each acknowledgement took."""
    answer: Json | None = None
    """What the acknowledgement held."""

    @property
    def event(self) -> Json:
        """The event itself."""
        return dict(self.body.get("event", {}))

    @property
    def content_type(self) -> str:
        """How it is sent over HTTP."""
        form = "application/x-www-form-urlencoded"
        return "application/json" if self.kind == "events_api" else form

    def encoded(self) -> bytes:
        """Its body over HTTP."""
        if self.kind == "events_api":
            return json.dumps(self.body).encode()
        if self.kind == "slash_commands":
            return urlencode(self.body).encode()
        return urlencode({"payload": json.dumps(self.body)}).encode()


class Courier:
    """Brings events to the app. Lives in the server's event loop."""

    def __init__(self, signing_secret: str) -> None:
        self.signing_secret = signing_secret
        self.url: str | None = None
        """Where events go over HTTP; None: Socket Mode."""
        self.patience = 3.0
        """Seconds to wait for an acknowledgement."""
        self.pauses: tuple[float, ...] = (0.05, 0.2, 0.5)
        """Seconds before the first, second and third redelivery."""
        self.deliveries: list[Delivery] = []
        self.sockets: list[web.WebSocketResponse] = []
        self._turn: deque[web.WebSocketResponse] = deque()
        self._waiting: dict[str, asyncio.Future[Json | None]] = {}
        self.awake = asyncio.Event()
        """Cleared while Slack itself is away: nothing is sent then."""
        self.awake.set()
        self._connected = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, delivery: Delivery) -> None:
        """Begin to deliver; call it in the loop."""
        task = asyncio.get_running_loop().create_task(self._deliver(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for socket in list(self.sockets):
            await socket.close()

    async def _deliver(self, delivery: Delivery) -> None:
        again = self.pauses if delivery.kind == "events_api" else ()  # Slack repeats nothing else
        for pause in (0.0, *again):
            await asyncio.sleep(pause)
            await self.awake.wait()
            delivery.tries += 1
            began = time.monotonic()
            if await (self._post(delivery) if self.url else self._push(delivery)):
                delivery.seconds.append(time.monotonic() - began)
                delivery.acknowledged = True
                return
        delivery.given_up = True

    async def _push(self, delivery: Delivery) -> bool:
        """Send it over one of the connections; whether it was acknowledged in time."""
        await self._connected.wait()
        socket = self._turn[0]
        self._turn.rotate(-1)
        envelope = str(uuid.uuid4())
        acknowledged: asyncio.Future[Json | None] = asyncio.get_running_loop().create_future()
        self._waiting[envelope] = acknowledged
        again = delivery.tries > 1
        frame = {
            "envelope_id": envelope,
            "type": delivery.kind,
            "payload": delivery.body,
            "accepts_response_payload": delivery.kind != "events_api",
            "retry_attempt": delivery.tries - 1,
            "retry_reason": "timeout" if again else "",
        }
        try:
            await socket.send_json(frame)
            delivery.answer = await asyncio.wait_for(acknowledged, self.patience)
        except (TimeoutError, ConnectionError):
            return False
        finally:
            del self._waiting[envelope]
        return True

    async def _post(self, delivery: Delivery) -> bool:
        """Send it to the URL; whether the answer was 2xx and in time."""
        body = delivery.encoded()
        headers = signed_headers(body, self.signing_secret)
        headers["Content-Type"] = delivery.content_type
        if delivery.tries > 1:
            headers["X-Slack-Retry-Num"] = str(delivery.tries - 1)
            headers["X-Slack-Retry-Reason"] = "http_error"
        patience = aiohttp.ClientTimeout(total=self.patience)
        try:
            async with (
                aiohttp.ClientSession(timeout=patience) as session,
                session.post(str(self.url), data=body, headers=headers) as answer,
            ):
                delivery.answers.append(answer.status)
                said = await answer.text()
                delivery.answer = json.loads(said) if said.startswith("{") else None
                return 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError):
            delivery.answers.append(0)
            return False

    async def serve_socket(self, request: web.Request) -> web.WebSocketResponse:
        """One Socket Mode connection, from `hello` to its end."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        hello: dict[str, Any] = {
            "type": "hello",
            "connection_info": {"app_id": "A0APP"},
            "num_connections": len(self.sockets),
            "debug_info": {"approximate_connection_time": 18_060},
        }
        await socket.send_json(hello)
        self._turn.append(socket)
        self._connected.set()
        try:
            async for frame in socket:
                if frame.type == aiohttp.WSMsgType.TEXT:
                    told = json.loads(frame.data)
                    waiting = self._waiting.get(str(told.get("envelope_id")))
                    if waiting and not waiting.done():
                        waiting.set_result(told.get("payload") or None)
        finally:
            self.drop(socket)
        return socket

    def drop(self, socket: web.WebSocketResponse) -> None:
        """Send nothing more over this connection."""
        if socket in self._turn:
            self._turn.remove(socket)
        if socket in self.sockets:
            self.sockets.remove(socket)
        if not self._turn:
            self._connected.clear()

    async def disconnect(self, reason: str) -> None:
        """Tell every connection to be renewed, as Slack does every few hours."""
        for socket in list(self.sockets):
            if socket in self._turn:
                self._turn.remove(socket)
            if not self._turn:
                self._connected.clear()
            await socket.send_json({"type": "disconnect", "reason": reason})
