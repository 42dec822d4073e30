"""Agents that ask one another: by their own rules, in no circle, within the asker's limits."""

import pytest

from llmasos.agent import Agent
from llmasos.errors import AgentsInCircle, LimitExceeded, UnknownAgent
from llmasos.events import HandOver, Reply, Token
from llmasos.limits import RunLimits
from llmasos.testing import ScriptedEngine, make_turn, reply_of


def asks(name):
    """A flow that asks another agent and tells what it said."""

    def flow(turn):
        yield Reply(text=f"{name} says: {turn.ask(name, 'Well?').text}")

    return flow


def hands_over(name):
    def flow(turn):
        yield turn.status("one moment")
        yield HandOver(name)
        raise AssertionError("a flow ends with this")

    return flow


BILLING = Agent(name="billing", instructions="You do billing.")


def test_an_agent_asks_another():
    engine = ScriptedEngine(["Thirty days."])
    turn = make_turn(Agent(name="desk", flow=asks("billing")), "Hi", engine, others=[BILLING])

    assert reply_of(turn).text == "billing says: Thirty days."
    assert [m.content for m in engine.calls[0].messages] == ["You do billing.", "Well?"]


def test_an_agent_hands_the_message_over():
    engine = ScriptedEngine(["Thirty days."])
    turn = make_turn(
        Agent(name="desk", flow=hands_over("billing")), "How long?", engine, others=[BILLING]
    )

    reply = reply_of(turn)

    assert reply.text == "Thirty days."
    assert engine.calls[0].messages[-1].content == "How long?"


def test_who_asks_in_a_circle_is_stopped():
    one, two = Agent(name="one", flow=hands_over("two")), Agent(name="two", flow=asks("one"))

    with pytest.raises(AgentsInCircle, match="one → two → one"):
        reply_of(make_turn(one, "Hi", ScriptedEngine(), others=[one, two]))


def test_who_asks_too_far_is_stopped():
    agents = [Agent(name=f"a{n}", flow=asks(f"a{n + 1}")) for n in range(9)]

    with pytest.raises(AgentsInCircle, match="a0 → a1 → a2 → a3 → a4 → a5"):
        reply_of(make_turn(agents[0], "Hi", ScriptedEngine(), others=agents))


def test_an_agent_that_is_not_there_is_named():
    with pytest.raises(UnknownAgent, match="Did you mean 'billing'"):
        reply_of(
            make_turn(
                Agent(name="desk", flow=asks("biling")), "Hi", ScriptedEngine(), others=[BILLING]
            )
        )


def test_what_the_other_uses_counts_for_the_asker():
    desk = Agent(name="desk", flow=asks("billing"), limits=RunLimits(tokens=3))

    with pytest.raises(LimitExceeded, match="'desk'"):
        reply_of(make_turn(desk, "Hi", ScriptedEngine(["Thirty days."]), others=[BILLING]))


def test_pieces_that_the_other_has_not_checked_are_not_shown():
    def flow(turn):
        yield Token(text="unchecked ")
        yield Token(text="checked", checked=True)
        yield Reply(text="checked")

    other = Agent(name="careful", flow=flow, checked=True)
    desk = Agent(name="desk", flow=hands_over("careful"))
    seen: list[object] = []

    reply_of(make_turn(desk, "Hi", ScriptedEngine(), others=[other]), seen.append)

    assert [event.text for event in seen if isinstance(event, Token)] == ["checked"]
