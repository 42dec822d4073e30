"""Our own time for a turn: an agent over a model that answers at once, and nothing to search.

What is between a turn and its reply: guards, prompt, limits, the flow. Goal: at most 10 ms at the
median, for a chat with a long history and for one call of a tool. The tool loop is LangChain's:
what counts there is the time beyond that of its own agent over the same answers, in turns with it.

    python benchmarks/agents_overhead.py [--rounds 300]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

from langchain.agents import create_agent
from langchain_core.tools import StructuredTool

from llmasos import Agent, Turn, tool
from llmasos.chat_model import ChatLLM
from llmasos.testing import ScriptedEngine, calls, make_turn, reply_of

GOAL_MS, WARM = 10.0, 10
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
    for kind in (chat, chosen_tool):
        took = [_milliseconds(_reply(kind)) for _ in range(rounds + WARM)]
        _print(kind.__name__, took[WARM:])
    pairs = [
        (_milliseconds(_reply(tool_loop)), _milliseconds(_bare_loop()))
        for _ in range(rounds + WARM)
    ]
    _print("tool_loop, LangChain with it", [ours for ours, _ in pairs[WARM:]])
    _print("LangChain alone", [bare for _, bare in pairs[WARM:]])
    beyond = statistics.median(o for o, _ in pairs[WARM:]) - statistics.median(
        b for _, b in pairs[WARM:]
    )
    print(json.dumps({"turn": "tool_loop", "beyond_ms": round(beyond, 2), "goal_ms": GOAL_MS}))


def _reply(kind: Callable[[], Turn]) -> Callable[[], object]:
    """What answers a turn that is made before."""
    turn = kind()
    return lambda: reply_of(turn)


def _bare_loop() -> Callable[[], object]:
    """LangChain's agent, as it comes, over the answers that our loop gets."""
    said = [calls("order_status", order="A-17"), "It left on Monday."]
    model = ChatLLM(backend=ScriptedEngine(said))
    offered = StructuredTool.from_function(order_status.run, name="order_status")

    def ask() -> object:
        graph = create_agent(model, [offered], system_prompt=CLERK.instructions)
        asked = {"messages": [("user", QUESTION)]}
        return list(graph.stream(asked, stream_mode=["messages", "updates"]))

    return ask


def _milliseconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def _print(turn: str, took: list[float]) -> None:
    """The median and the 95th percentile."""
    middle, late = statistics.median(took), statistics.quantiles(took, n=20)[-1]
    print(json.dumps({"turn": turn, "p50_ms": round(middle, 2), "p95_ms": round(late, 2)}))


if __name__ == "__main__":
    main()
