"""The server of the stand-in: the Web API with its faults, and the events' way out.

Runs in a thread with a loop of its own. What the methods do is in `methods.py`, how events are
delivered in `delivery.py`.
"""

import asyncio
import http.client
import json
import threading
import time
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from aiohttp import web

from llmasos.testing.slack import files, uploads
from llmasos.testing.slack.checks import Refusal
from llmasos.testing.slack.delivery import Courier, Delivery
from llmasos.testing.slack.directory import Directory
from llmasos.testing.slack.faults import Fault
from llmasos.testing.slack.limits import Limits
from llmasos.testing.slack.methods import changed_event, event_of, perform
from llmasos.testing.slack.signing import signed_headers
from llmasos.testing.slack.workspace import Json, Workspace

T = TypeVar("T")

SCOPES = (
    "app_mentions:read,assistant:write,channels:history,channels:read,chat:write,commands,files:read,"
    "files:write,groups:history,groups:read,im:history,metadata.message:read,mpim:history,"
    "reactions:write,usergroups:read,users:read"
)


@dataclass(frozen=True)
class Call:
    """One call of the Web API, as it arrived."""

    method: str
    arguments: Json
    at: float
    """When, on the monotonic clock."""


class SlackServer:
    """Slack's API and events on a free port of loopback."""

    bot_token = "xoxb-stand-in"
    app_token = "xapp-stand-in"
    signing_secret = "stand-in-signing-secret"

    def __init__(self, port: int = 0) -> None:
        self.workspace = Workspace()
        """Where people act; `at` changes it."""
        self.home = self.workspace
        """The workspace that `bot_token` opens."""
        self.directory = Directory(self.home)
        self.scopes = set(SCOPES.split(","))
        self.calls: list[Call] = []
        self.limits = Limits()
        self.echo = True
        """Whether the bot's own messages come back to it as events, as they do at Slack."""
        self._faults: dict[str, list[Fault]] = {}
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="slack-stand-in")

    def start(self) -> Self:
        """Listen on a free port of loopback."""
        self._thread.start()
        self._run(self._open())
        return self

    def stop(self) -> None:
        """Stop listening and let go of everything."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def api_url(self) -> str:
        """What `LLMASOS_SLACK__API_URL` is set to."""
        return f"http://127.0.0.1:{self._port}/api/"

    async def _open(self) -> None:
        self._courier = Courier(self.signing_secret)
        app = web.Application(client_max_size=10_000_000)
        app.router.add_post("/api/{method}", self._call)
        app.router.add_get("/api/{method}", self._call)
        app.router.add_post("/upload/{file}", self._take_upload)
        app.router.add_get("/link/", self._courier.serve_socket)
        app.router.add_get("/files/{file}", self._give_file)
        app.router.add_post("/response/{id}", self._take_response)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2)
        await self._runner.setup()
        await self._listen()
        self._port = self._runner.addresses[0][1]
        self.home.address = f"http://127.0.0.1:{self._port}"

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await self._site.start()

    async def _close(self) -> None:
        await self._courier.close()
        await self._runner.cleanup()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    # The Web API

    async def _call(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        arguments = await _arguments(request)
        await self._courier.awake.wait()
        self.calls.append(Call(method, arguments, time.monotonic()))
        authorization = request.headers.get("Authorization", "")
        if method == "oauth.v2.access":
            perform_it = partial(self._exchange, authorization, arguments)
        else:
            token = arguments.get("token") or authorization[7:]
            perform_it = partial(self._perform, method, token, arguments)
        fault = self._next_fault(method)
        if fault is None:
            wait = self.limits.wait(method, arguments, authorization)
            fault = Fault.limits(wait) if wait is not None else None
        if fault is None:
            return self._answer(perform_it())
        if fault.done:
            perform_it()
        await asyncio.sleep(fault.hang)
        if fault.reset:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        retry_after = fault.retry_after
        headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
        answer = {"ok": False, "error": fault.error}
        return web.json_response(answer, status=fault.status, headers=headers)

    def _answer(self, plain: Json) -> web.Response:
        return web.json_response(plain, headers={"x-oauth-scopes": ",".join(sorted(self.scopes))})

    def _next_fault(self, method: str) -> Fault | None:
        with self.workspace.lock:
            waiting = self._faults.get(method)
            return waiting.pop(0) if waiting else None

    def _perform(self, method: str, token: str, arguments: Json) -> Json:
        """The whole answer to a call; what it changed is told as events."""
        if not token:
            return {"ok": False, "error": "not_authed"}
        space = self._opened_by(token)
        if space is None and token != self.app_token:
            return {"ok": False, "error": "invalid_auth"}
        if method == "apps.connections.open":
            return self._connection(token)
        if space is None:
            return {"ok": False, "error": "not_allowed_token_type"}
        try:
            answer = perform(space, self.scopes, method, arguments)
        except Refusal as refusal:
            return {"ok": False, "error": refusal.error, **refusal.more}
        if self.echo:
            self._tell(space, method, answer)
        return {"ok": True, **answer}

    def _exchange(self, authorization: str, arguments: Json) -> Json:
        try:
            return {"ok": True, **self.directory.exchange(authorization, arguments)}
        except Refusal as refusal:
            return {"ok": False, "error": refusal.error, **refusal.more}

    def _opened_by(self, token: str) -> Workspace | None:
        return self.home if token == self.bot_token else self.directory.of_token(token)

    def _connection(self, token: str) -> Json:
        if token != self.app_token:
            return {"ok": False, "error": "not_allowed_token_type"}
        ticket = uuid.uuid4()
        return {"ok": True, "url": f"ws://127.0.0.1:{self._port}/link/?ticket={ticket}"}

    def _tell(self, space: Workspace, method: str, answer: Json) -> None:
        """The events that the bot's own posts and updates make."""
        if method not in ("chat.postMessage", "chat.update", "chat.stopStream"):
            return
        channel = space.channel(answer["channel"])
        message = space.find(channel.id, answer["ts"])
        if message is None:
            return
        event = event_of(message, channel, space.team)
        if method == "chat.update":
            event = changed_event(event, channel, space.mint())
        self._send(event, space)

    async def _give_file(self, request: web.Request) -> web.StreamResponse:
        """A file's content; who may not have it gets a login page, as at Slack."""
        space = self._opened_by(request.headers.get("Authorization", "")[7:])
        allowed = space is not None and "files:read" in self.scopes
        return files.give(space or self.home, request.match_info["file"], allowed=allowed)

    async def _take_upload(self, request: web.Request) -> web.StreamResponse:
        """A file's content; its address says which file, of whatever workspace."""
        file_id, spaces = request.match_info["file"], self.directory.workspaces.values()
        space = next((each for each in spaces if file_id in each.uploads), self.home)
        return await uploads.take(space, request)

    async def _take_response(self, request: web.Request) -> web.StreamResponse:
        """A message to one person who gave a command."""
        message, response = await request.json(), request.match_info["id"]
        spaces = self.directory.workspaces.values()
        space = next((each for each in spaces if response in each.responses), self.home)
        return files.take_response(space, response, message)

    # The deliveries

    def envelope(self, event: Json, space: Workspace | None = None) -> Json:
        """The whole body that an event is sent in. space: where it happens, if not here."""
        space = space or self.workspace
        authorization = {
            "enterprise_id": None,
            "team_id": space.team,
            "user_id": space.bot_user,
            "is_bot": True,
            "is_enterprise_install": False,
        }
        return {
            "token": "deprecated",
            "team_id": space.team,
            "api_app_id": space.app,
            "type": "event_callback",
            "event": event,
            "event_id": f"Ev{uuid.uuid4().hex[:12].upper()}",
            "event_time": int(time.time()),
            "authorizations": [authorization],
            "is_ext_shared_channel": False,
        }

    def send_events_to(self, url: str, patience: float = 3.0) -> None:
        """From now on events go to this URL, signed, instead of over Socket Mode."""
        self._courier.url, self._courier.patience = url, patience

    def redeliver_after(self, *pauses: float, patience: float = 3.0) -> None:
        """How long to wait for an acknowledgement, and before each redelivery; in seconds."""
        self._courier.pauses, self._courier.patience = pauses, patience

    def disconnect(self, reason: str = "refresh_requested") -> None:
        """Ask every Socket Mode connection to be renewed."""
        self._run(self._courier.disconnect(reason))

    @property
    def deliveries(self) -> list[Delivery]:
        """Every event that was sent, and what became of it."""
        return self._courier.deliveries

    @property
    def connections(self) -> int:
        """How many Socket Mode connections there are."""
        return len(self._courier.sockets)

    def _send(self, event: Json, space: Workspace | None = None) -> str:
        body = self.envelope(event, space)
        self._deliver(Delivery(body))
        return str(body["event_id"])

    def _deliver(self, delivery: Delivery) -> None:
        self._courier.deliveries.append(delivery)
        self._loop.call_soon_threadsafe(self._courier.send, delivery)

    def deliver(self, event: Json, url: str, *, forged: bool = False, stale: bool = False) -> int:
        """Send an event to a URL once, and wait; gives the answer's status.

        forged: sign it with another secret; stale: sign it an hour ago.
        """
        body = json.dumps(self.envelope(event)).encode()
        secret = "another secret" if forged else self.signing_secret
        headers = signed_headers(body, secret, at=time.time() - 3600 if stale else None)
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        try:
            connection.request("POST", parts.path, body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    # What goes wrong

    def fail(self, method: str, *faults: Fault) -> None:
        """Let the next calls of a method go wrong, one fault each."""
        with self.workspace.lock:
            self._faults.setdefault(method, []).extend(faults)

    def forgive(self) -> None:
        """Let nothing go wrong any more."""
        with self.workspace.lock:
            self._faults.clear()

    def close_door(self) -> None:
        """Refuse new connections, as if Slack were not there."""
        self._run(self._site.stop())

    def open_door(self) -> None:
        """Listen again, at the same address."""
        if self._site not in self._runner.sites:
            self._run(self._listen())

    def hang(self) -> None:
        """Answer and send nothing until `go_on`; calls that come meanwhile are done late."""
        self._loop.call_soon_threadsafe(self._courier.awake.clear)

    def go_on(self) -> None:
        """Be there again after `hang`."""
        self._loop.call_soon_threadsafe(self._courier.awake.set)


async def _arguments(request: web.Request) -> Json:
    """A call's arguments, however they were sent; nested values in a form are JSON."""
    found: Json = dict(request.query)
    if request.content_type == "application/json":
        raw = await request.read()
        found |= json.loads(raw) if raw.strip() else {}
    else:
        found |= {k: v for k, v in (await request.post()).items() if isinstance(v, str)}
    for name in ("blocks", "metadata", "prompts", "chunks", "files", "loading_messages", "view"):
        if isinstance(found.get(name), str):
            found[name] = json.loads(found[name])
    return found
