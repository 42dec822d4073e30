"""MCP servers: real ones over standard input and output, that behave and that do not."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmasos.errors import SettingsError, ToolFailed
from llmasos.mcp import LONGEST_RESULT, McpServers
from llmasos.settings import McpSettings
from llmasos.tools import Tool

SCRIPT = Path(__file__).with_name("mcp_server.py")
EVERY = ("ticket", "flood", "broken", "sleep", "vanish", "pid")


@contextmanager
def serving(**changes: object) -> Iterator[Callable[[], dict[str, Tool]]]:
    """A server, and what gives its tools by name."""
    plain = {
        "name": "desk", "command": (sys.executable, str(SCRIPT)),
        "timeout": 60.0, "start_timeout": 100.0,
        "tools": EVERY, "effects": ("close_ticket",), "env": {"DESK": "front"}, **changes,
    }  # fmt: skip
    servers = McpServers([McpSettings.model_validate(plain)])
    try:
        yield lambda: {tool.name: tool for tool in servers.tools(["desk"])}
    finally:
        servers.close()


@pytest.fixture(scope="module")
def desk() -> Iterator[Callable[[], dict[str, Tool]]]:
    with serving() as tools:
        yield tools


def test_a_tool_of_a_server_is_called_by_its_schema(desk):
    tool = desk()["desk_ticket"]

    assert tool.description == "Look up a ticket by its number."
    assert tool.parameters["required"] == ["number"]
    assert tool.call({"number": 7}) == "Ticket 7 is open, says front."


def test_only_named_tools_exist_and_effects_are_marked(desk):
    effects = {name for name, tool in desk().items() if tool.effect}

    assert "desk_secret" not in desk()
    assert effects == {"desk_close_ticket"}


def test_a_long_result_is_cut(desk):
    assert len(desk()["desk_flood"].call({})) <= LONGEST_RESULT + 2


@pytest.mark.parametrize("arguments", [{"number": "seven"}, {}])
def test_what_the_server_refuses_is_a_failure_of_the_tool(desk, arguments):
    with pytest.raises(ToolFailed, match="desk_ticket"):
        desk()["desk_ticket"].call(arguments)


def test_an_error_of_the_tool_is_told_and_the_server_goes_on(desk):
    with pytest.raises(ToolFailed, match="desk_broken"):
        desk()["desk_broken"].call({})

    assert desk()["desk_ticket"].call({"number": 8}).startswith("Ticket 8")


def test_a_server_that_dies_is_started_again(desk):
    with pytest.raises(ToolFailed):
        desk()["desk_vanish"].call({})

    assert desk()["desk_ticket"].call({"number": 9}).startswith("Ticket 9")


def test_a_call_ends_in_its_time_and_closing_ends_the_program():
    with serving(timeout=5.0) as tools:
        process = int(tools()["desk_pid"].call({}))
        with pytest.raises(ToolFailed, match="time"):
            tools()["desk_sleep"].call({})

    assert gone(process)


@pytest.mark.parametrize(
    "command", [(sys.executable, str(SCRIPT), "--silent"), ("no-such-program-anywhere",)]
)
def test_a_server_that_is_away_has_no_tools(command):
    with serving(command=command, start_timeout=2.0) as tools:
        assert tools() == {}


def test_an_unknown_server_is_named():
    servers = McpServers([])

    with pytest.raises(SettingsError, match="no MCP server is named 'desk'"):
        servers.tools(["desk"])


def test_a_tethered_program_dies_with_its_starter():
    code = (
        "import subprocess, sys; from llmasos import tethered\n"
        "child = subprocess.Popen([sys.executable, tethered.__file__, 'sleep', '600'])\n"
        "print(child.pid, flush=True); sys.stdin.read()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    assert starter.stdin is not None
    child = int(starter.stdout.readline())

    starter.kill()
    starter.wait()
    starter.stdout.close()
    starter.stdin.close()

    assert gone(child)


def gone(process: int) -> bool:
    """Whether a process ends within the time that a busy machine needs."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False
