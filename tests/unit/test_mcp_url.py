"""An MCP server at an address: a real one over HTTP, found, called with headers, and gone."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from mcp.server.mcpserver import MCPServer
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from llmasos.errors import ToolFailed
from llmasos.mcp import McpServers
from llmasos.settings import McpSettings

KEY = "Bearer the-desk-key"


class Keyed:
    """Lets in who shows the key."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and Request(scope).headers.get("authorization") != KEY:
            await PlainTextResponse("no key", 401)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def desk() -> MCPServer:
    server = MCPServer("desk")

    @server.tool()
    def ticket(number: int) -> str:
        """Look up a ticket by its number."""
        return f"Ticket {number} is open."

    @server.tool()
    def broken() -> str:
        """Fail."""
        raise ValueError("the disk is full")

    return server


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    door = socket.create_server(("127.0.0.1", 0))
    app = Keyed(desk().streamable_http_app())
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
    thread.start()
    give_up = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < give_up, "the server did not start"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{door.getsockname()[1]}/mcp"
    server.should_exit = True
    thread.join(30)


def servers(url: str, key: str = KEY) -> McpServers:
    plain = {
        "name": "desk",
        "url": url,
        "headers": {"Authorization": key},
        "tools": ("ticket", "broken"),
        "timeout": 60.0,
        "start_timeout": 60.0,
    }
    return McpServers([McpSettings.model_validate(plain)])


def test_its_tools_are_called_with_the_headers_that_are_set(address: str) -> None:
    found = servers(address)
    try:
        tools = {tool.name: tool for tool in found.tools(["desk"])}

        assert tools["desk_ticket"].call({"number": 7}) == "Ticket 7 is open."
        with pytest.raises(ToolFailed, match="desk_broken"):
            tools["desk_broken"].call({})
    finally:
        found.close()


@pytest.mark.parametrize("wrong", ["key", "address"])
def test_one_that_cannot_be_used_gives_no_tools_and_nothing_hangs(address: str, wrong: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}/mcp"
    found = servers(address, "Bearer wrong") if wrong == "key" else servers(nobody)
    try:
        assert found.tools(["desk"]) == ()
    finally:
        found.close()
