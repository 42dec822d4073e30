"""An MCP server over standard input and output, good or hostile: its tools misbehave as named."""

import os
import sys
import time

from mcp.server.mcpserver import MCPServer

server = MCPServer("desk")


@server.tool()
def ticket(number: int) -> str:
    """Look up a ticket by its number."""
    return f"Ticket {number} is open, says {os.environ.get('DESK', 'nobody')}."


@server.tool()
def close_ticket(number: int) -> str:
    """Close a ticket."""
    return f"Ticket {number} is closed."


@server.tool()
def secret() -> str:
    """Not for everyone."""
    return "hidden"


@server.tool()
def flood() -> str:
    """Say very much."""
    return "a" * 500_000


@server.tool()
def broken() -> str:
    """Fail."""
    raise ValueError("the disk is full")


@server.tool()
def sleep() -> str:
    """Never answer."""
    time.sleep(600)
    return "late"


@server.tool()
def vanish() -> str:
    """End the whole server."""
    os._exit(3)


@server.tool()
def pid() -> int:
    """The process of the server."""
    return os.getpid()


if __name__ == "__main__":
    if "--silent" in sys.argv:
        time.sleep(600)
    server.run()
