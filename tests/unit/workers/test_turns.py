"""Turns: a job that must stop waits for nobody."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.catalog import Catalog
from llmasos.agent import Agent
from llmasos.conversations import Conversations
from llmasos.database import Database, migrate
from llmasos.errors import JobCancelled, NotAllowed
from llmasos.events import HandOver, Reply
from llmasos.generation import Message, Options, Usage
from llmasos.jobs import Jobs
from llmasos.mcp import McpServers
from llmasos.request import Principal, Request
from llmasos.sandbox import Sandbox
from llmasos.testing import ListRetriever, MemoryJournal, ScriptedEngine, calls, reply_of
from llmasos.tgi import TGIBackend
from llmasos.tools import tool
from llmasos.turn import Memory, Turn
from workers.inline import InlineDispatcher
from workers.turns import CatalogTurns, Equipment, WatchedBackend


def test_a_job_that_is_cancelled_waits_for_no_first_token(start_model_server: Any) -> None:
    server = start_model_server()
    server.behave(first=60)
    cancelled = threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    backend = TGIBackend(server.url)

    def checkpoint() -> None:
        if cancelled.is_set():
            raise JobCancelled("1")

    begun = time.monotonic()
    with pytest.raises(JobCancelled):
        list(
            WatchedBackend(backend, checkpoint).chat([Message(role="user", content="x")], Options())
        )

    assert time.monotonic() - begun < 10
    backend.close()


class Alias:
    """One model for everybody, which calls tools well if its alias says so."""

    def __init__(self, *answers: Any) -> None:
        self.engine = ScriptedEngine(answers)

    def pool(self, alias: str | None = None) -> ScriptedEngine:
        return self.engine

    def calls_tools(self, alias: str | None = None) -> bool:
        return alias == "large"


@pytest.fixture
def begin(make_settings: Any, tmp_path: Path) -> Iterator[Any]:
    """Begins the turn of an agent for a principal, as a worker would."""
    opened: list[Any] = []

    def make(agents: list[Agent], models: Alias, toml: str = "", **request: Any) -> Turn:
        settings = make_settings(toml)
        database = Database(settings.state_url)
        migrate(database)
        mcp = McpServers(settings.mcp)
        opened.extend([database, mcp])
        made = Request(agent=agents[0].name, text="Hi", conversation="c", **request)
        catalog = Catalog(agents)
        jobs = Jobs(
            database, InlineDispatcher(), settings.jobs, catalog.names(), (), catalog.may_use
        )
        job = jobs.submit(made).job
        equipment = Equipment(models, mcp, ListRetriever(()), Sandbox(), settings.guards)
        turns = CatalogTurns(catalog, Conversations(database), equipment)
        return turns.begin(job, Memory(), MemoryJournal(), lambda: None, Usage())

    yield make
    for each in opened:
        each.close()


def test_another_agent_is_asked_with_the_rights_of_who_asks(begin: Any) -> None:
    def flow(turn: Turn) -> Iterator[Reply]:
        yield turn.ask("payroll", "How much?")

    agents = [Agent(name="desk", flow=flow), Agent(name="payroll", users=["slack:T1:BOSS"])]

    boss = begin(agents, Alias("Much."), principal=Principal(id="slack:T1:BOSS"))
    other = begin(agents, Alias(), principal=Principal(id="slack:T1:U2"))

    assert reply_of(boss).text == "Much."
    with pytest.raises(NotAllowed, match="payroll"):
        reply_of(other)


def test_the_other_agent_has_its_own_model_and_tools(begin: Any) -> None:
    def flow(turn: Turn) -> Iterator[HandOver]:
        yield HandOver("clerk")

    @tool
    def look(place: str) -> str:
        """Look somewhere. place: where."""
        return f"nothing at {place}"

    clerk = Agent(name="clerk", tools=[look], model="large")
    models = Alias(calls("look", place="home"), "Nothing there.")

    assert reply_of(begin([Agent(name="desk", flow=flow), clerk], models)).text == "Nothing there."


def test_the_guards_of_the_configuration_hold(begin: Any) -> None:
    turn = begin([Agent(name="desk")], Alias(), "[guards]\nmax_length = 1\n")

    assert reply_of(turn).blocked == {"rule": "length"}


def test_an_agent_gets_the_tools_of_its_mcp_server(begin: Any) -> None:
    script = Path(__file__).parents[1] / "mcp_server.py"
    command = json.dumps([sys.executable, str(script)])
    toml = f"[[mcp]]\nname = 'desk'\ncommand = {command}\ntools = ['ticket']\nstart_timeout = 100\n"
    clerk = Agent(name="clerk", mcp=["desk"], model="large")
    models = Alias(calls("desk_ticket", number=7), "It is open.")

    reply = reply_of(begin([clerk], models, toml))

    assert reply.text == "It is open."
    assert "Ticket 7 is open" in models.engine.calls[-1].messages[-1].content
