"""Our own time for a turn: an agent over a model that answers at once, and nothing to search.

What is between a turn and its reply: guards, prompt, limits, the flow. Goal: at most 10 ms at the
median, for a chat with a long history and for one call of a tool.

    python benchmarks/agents_overhead.py [--rounds 300]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

from llmasos import Agent, Turn, tool
from llmasos.testing import ScriptedEngine, calls, make_turn, reply_of

GOAL_MS = 10.0
HISTORY = [("user", "Where is my order A-17?"), ("assistant", "It left on Monday.")] * 5


@tool
def order_status(order: str) -> str:
    """Look up the status of an order. order: its number."""
    return f"Order {order} left on Monday"


CHATTER = Agent(name="chatter", instructions="Be brief and kind. " * 10)
CLERK = Agent(name="clerk", instructions="Be brief.", tools=[order_status])
QUESTION = "What is the status of order A-17?"


def chat() -> Turn:
    return make_turn(CHATTER, QUESTION, ScriptedEngine(["Gone."]), history=HISTORY)


def chosen_tool() -> Turn:
    said = ['{"tool": "order_status"}', '{"order": "A-17"}', "Order A-17 left on Monday."]
    return make_turn(CLERK, QUESTION, ScriptedEngine(said), history=HISTORY)


def tool_loop() -> Turn:
    said = [calls("order_status", order="A-17"), "It left on Monday."]
    return make_turn(CLERK, QUESTION, ScriptedEngine(said), calls_tools=True, history=HISTORY)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=300)
    rounds = parser.parse_args().rounds
    for kind in (chat, chosen_tool, tool_loop):
        middle, late = _measured(kind, rounds)
        figures = {"turn": kind.__name__, "p50_ms": middle, "p95_ms": late}
        print(json.dumps({**figures, "goal_ms": GOAL_MS, "met": middle <= GOAL_MS}))


def _measured(kind: Callable[[], Turn], rounds: int) -> tuple[float, float]:
    """The median and the 95th percentile, in milliseconds."""
    took = []
    for number in range(rounds + 10):
        turn = kind()
        begun = time.perf_counter()
        reply_of(turn)
        if number >= 10:
            took.append((time.perf_counter() - begun) * 1000)
    return round(statistics.median(took), 2), round(statistics.quantiles(took, n=20)[-1], 2)


if __name__ == "__main__":
    main()
