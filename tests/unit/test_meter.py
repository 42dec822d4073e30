"""The meter: a run ends where its limits are, and says which one it was."""

import pytest

from llmasos.agent import Agent
from llmasos.errors import LimitExceeded
from llmasos.limits import RunLimits
from llmasos.meter import Meter
from llmasos.testing import ScriptedEngine, make_turn, reply_of
from llmasos.tools import tool


@tool
def look(place: str) -> str:
    """Look somewhere. place: where."""
    return place


def asks_for_ever(turn):
    while True:
        turn.llm.chat([("user", "again")])
        yield turn.status("again")


def calls_for_ever(turn):
    while True:
        yield turn.call(look, place="here")


def test_a_run_ends_at_its_calls_of_the_model():
    agent = Agent(name="eager", flow=asks_for_ever, limits=RunLimits(model_calls=3))
    engine = ScriptedEngine(lambda _: "yes")

    with pytest.raises(LimitExceeded, match=r"may use 3 model calls.*\[agents.eager.limits\]"):
        reply_of(make_turn(agent, "Go", engine))

    assert len(engine.calls) == 3


def test_a_run_ends_at_its_tokens():
    agent = Agent(name="eager", flow=asks_for_ever, limits=RunLimits(tokens=10))

    with pytest.raises(LimitExceeded, match="10 tokens"):
        reply_of(make_turn(agent, "Go", ScriptedEngine(lambda _: "three words here")))


def test_a_run_ends_at_its_calls_of_tools():
    agent = Agent(name="busy", flow=calls_for_ever, tools=[look], limits=RunLimits(tool_calls=2))
    seen: list[object] = []

    with pytest.raises(LimitExceeded, match="2 tool calls"):
        reply_of(make_turn(agent, "Go", ScriptedEngine()), seen.append)

    assert len(seen) == 2


def test_a_run_ends_in_its_time_also_while_the_model_thinks():
    agent = Agent(name="slow", limits=RunLimits(seconds=0.2))

    def flow(turn):
        while True:
            turn.checkpoint()
            yield turn.status("still here")

    with pytest.raises(LimitExceeded, match="seconds"):
        reply_of(make_turn(agent.with_changes(flow=flow), "Go", ScriptedEngine()))


def test_what_an_inner_run_uses_counts_for_the_outer_one():
    outer = Meter("outer", RunLimits(tool_calls=1))
    inner = Meter("inner", RunLimits(tool_calls=9), outer)
    inner.count("tool_calls")

    with pytest.raises(LimitExceeded) as raised:
        inner.count("tool_calls")

    assert raised.value.agent == "outer"
