"""MCP servers: tools of other programs and services, for agents to call.

Each server that the configuration names is started, or connected to, when a tool of it is first
wanted; a program dies with its worker. What servers say is data: it is cut to a length, and tools
that the configuration does not name do not exist. The only module that knows the `mcp` package,
whose world is asynchronous: one thread runs it. Start reading at `McpServers.tools`.
"""

import json
import math
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from contextlib import AbstractContextManager, AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from llmasos import tethered
from llmasos.errors import SettingsError, ToolFailed, nearest
from llmasos.events import ASKER
from llmasos.settings import McpSettings
from llmasos.tools import Tool

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal
    from mcp import Client
    from mcp.types import CallToolResult
    from mcp.types import Tool as Offered

log = structlog.get_logger()

LONGEST_RESULT = 20_000
"""Characters of a result; the rest is left out."""
LONGEST_DESCRIPTION = 1_000
"""Characters of a tool's description that a model is shown."""
LARGEST_SCHEMA = 20_000
"""Characters of a tool's schema; one with more is not offered."""
REST_SECONDS = 30.0
"""How long a server that failed is left alone."""
GRACE = 5.0
"""Seconds beyond a server's own time until the caller stops to wait for this module's thread."""


class McpServers:
    """The MCP servers of this process; safe in threads."""

    def __init__(self, servers: Sequence[McpSettings]) -> None:
        self._loop = _Loop()
        self._servers = {each.name: _Server(each, self._loop) for each in servers}

    def tools(self, names: Sequence[str]) -> tuple[Tool, ...]:
        """The tools of these servers; of one that is away none, which the log tells.

        Raises SettingsError for a name that no server has.
        """
        return tuple(tool for name in names for tool in self._server(name).tools())

    def close(self) -> None:
        """End all servers."""
        for server in self._servers.values():
            server.close()
        self._loop.close()

    def _server(self, name: str) -> "_Server":
        if name not in self._servers:
            hint = nearest(name, tuple(self._servers))
            raise SettingsError("mcp", "", f"no MCP server is named '{name}'.{hint}")
        return self._servers[name]


class _Loop:
    """The thread in which everything asynchronous happens; it begins when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._portal: BlockingPortal | None = None
        self._running: AbstractContextManager[BlockingPortal] | None = None

    def start(self, task: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Begin a task."""
        from anyio.from_thread import start_blocking_portal  # late, as everything of this world

        with self._lock:
            if self._portal is None:
                self._running = start_blocking_portal()
                self._portal = self._running.__enter__()
            return self._portal.start_task_soon(task, *arguments)

    def close(self) -> None:
        """End the thread, whose tasks have ended."""
        with self._lock:
            if self._running is not None:
                self._running.__exit__(None, None, None)
            self._portal = self._running = None


class _Session:
    """One connection to a server, from its start to its end."""

    def __init__(self, settings: McpSettings, loop: _Loop) -> None:
        self._settings, self._loop = settings, loop
        self.offered: Future[list[Offered]] = Future()
        """What tools the server has, once it has started."""
        self._client: Client | None = None
        self._stop: Callable[[], None] = lambda: None
        self._task = loop.start(self._live)

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return not self._task.done()

    def call(self, tool: str, arguments: dict[str, Any]) -> "CallToolResult":
        """Call a tool. Raises whatever can go wrong there."""
        assert self._client is not None
        seconds = self._settings.timeout
        ask = partial(self._client.call_tool, tool, arguments, read_timeout_seconds=seconds)
        asked = self._loop.start(ask)
        try:
            result: CallToolResult = asked.result(seconds + GRACE)
        except NotInTime:
            asked.cancel()
            raise
        return result

    def close(self) -> None:
        """End the connection, and the program behind it."""
        if self.alive:
            self._loop.start(_call, self._stop).result(GRACE)
            self._task.result(4 * GRACE)

    async def _live(self) -> None:
        """Connect, tell what there is, and wait until it should end."""
        import anyio

        stopped = anyio.Event()
        self._stop = stopped.set
        try:
            with (
                Path(os.devnull).open("w") as silence,
                anyio.fail_after(self._settings.start_timeout) as limit,
            ):
                async with AsyncExitStack() as stack:
                    client = await stack.enter_async_context(
                        await _client(self._settings, stack, silence)
                    )
                    listed = await client.list_tools()
                    limit.deadline = math.inf
                    self._client = client
                    self.offered.set_result(list(listed.tools))
                    await stopped.wait()
        except BaseException as error:
            if not self.offered.done():
                self.offered.set_exception(error)
            if not isinstance(error, Exception):
                raise


class _Server:
    """A server by its settings, connected to when it is needed."""

    def __init__(self, settings: McpSettings, loop: _Loop) -> None:
        self._settings, self._loop = settings, loop
        self._lock = threading.Lock()
        self._session: _Session | None = None
        self._tools: tuple[Tool, ...] = ()
        self._rests_until = 0.0

    def tools(self) -> tuple[Tool, ...]:
        """Its tools that the configuration names; none while it is away."""
        try:
            self._connected()
        except ToolFailed as error:
            log.warning("mcp.away", server=self._settings.name, error=error.reason)
            return ()
        return self._tools

    def close(self) -> None:
        """End it."""
        with self._lock:
            if self._session is not None:
                self._session.close()
            self._session = None

    def _connected(self) -> _Session:
        """The connection, made anew if there is none. Raises ToolFailed."""
        with self._lock:
            if self._session is not None and self._session.alive:
                return self._session
            if time.monotonic() < self._rests_until:
                raise ToolFailed(self._settings.name, "its server failed a moment ago")
            session = _Session(self._settings, self._loop)
            try:
                offered = session.offered.result(self._settings.start_timeout + GRACE)
            except Exception as error:
                self._rests_until = time.monotonic() + REST_SECONDS
                raise ToolFailed(self._settings.name, _reason(error)) from error
            self._session, self._tools = session, self._named(offered)
            return session

    def _named(self, offered: "Sequence[Offered]") -> tuple[Tool, ...]:
        """Those of its tools that the configuration names."""
        own, by_name = self._settings, {each.name: each for each in offered}
        found: list[Tool] = []
        for name in (*own.tools, *own.effects):
            if name not in by_name:
                log.warning("mcp.no_such_tool", server=own.name, tool=name)
            elif len(json.dumps(by_name[name].input_schema)) > LARGEST_SCHEMA:
                log.warning("mcp.schema_too_large", server=own.name, tool=name)
            else:
                found.append(self._tool(by_name[name]))
        return tuple(found)

    def _tool(self, offered: "Offered") -> Tool:
        effect = offered.name in self._settings.effects
        schema = {"type": "object", "properties": {}, **offered.input_schema}
        return Tool(
            name=re.sub(r"\W+", "_", f"{self._settings.name}_{offered.name}")[:64],
            description=" ".join((offered.description or offered.name).split())[
                :LONGEST_DESCRIPTION
            ],
            parameters=schema,
            run=partial(self._call, offered.name),
            effect=effect,
            approvers=(ASKER,) if effect else (),
        )

    def _call(self, tool: str, **arguments: Any) -> str:
        """Call a tool of it. Raises ToolFailed."""
        session = self._connected()
        try:
            result = session.call(tool, arguments)
        except Exception as error:
            self._drop(session)
            raise ToolFailed(f"{self._settings.name}_{tool}", _reason(error)) from error
        text = _text(result)
        if result.is_error:
            raise ToolFailed(f"{self._settings.name}_{tool}", text[:500] or "it says no more")
        return text

    def _drop(self, session: _Session) -> None:
        """Give a connection up: the next call makes another."""
        with self._lock:
            if self._session is session:
                self._session = None
        try:
            session.close()
        except Exception as error:  # noqa: BLE001  (somebody else's program, at its edge)
            log.warning("mcp.not_closed", server=self._settings.name, error=_reason(error))


async def _client(settings: McpSettings, stack: AsyncExitStack, silence: TextIO) -> "Client":
    """A client that is not connected yet. silence: where a program's own complaints go."""
    from mcp import Client, StdioServerParameters, stdio_client
    from mcp.client.streamable_http import streamable_http_client

    if settings.url:
        import httpx2

        headers = {name: each.get_secret_value() for name, each in settings.headers.items()}
        http = httpx2.AsyncClient(headers=headers, timeout=settings.timeout, trust_env=False)
        await stack.enter_async_context(http)
        return Client(streamable_http_client(settings.url, http_client=http))
    program = StdioServerParameters(
        command=sys.executable,
        args=["-I", str(Path(tethered.__file__).resolve()), *settings.command],
        env={name: each.get_secret_value() for name, each in settings.env.items()},
        encoding_error_handler="replace",
    )
    return Client(stdio_client(program, errlog=silence))


async def _call(function: Callable[[], None]) -> None:
    function()


def _text(result: "CallToolResult") -> str:
    """What a result says; other than text is only named."""
    parts = [
        str(block.text) if block.type == "text" else f"[{block.type} left out]"
        for block in result.content
    ]
    if not parts and result.structured_content is not None:
        parts = [json.dumps(result.structured_content, ensure_ascii=False)]
    text = "\n".join(parts)
    return text if len(text) <= LONGEST_RESULT else f"{text[:LONGEST_RESULT]} …"


def _reason(error: BaseException) -> str:
    """What went wrong, in words; of a group of errors, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return (str(error) or type(error).__name__)[:500]
