"""A long piece of the writing agent, from the message to the answer, over a worker's own jobs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agents.writing import answer
from llmasos import LLM, Message
from llmasos.testing import ScriptedEngine


def written(messages: Sequence[Message]) -> str:
    """An outline, and then a sentence for each section."""
    asked = messages[-1].content
    if "section 1" in asked:
        return "Bees gather nectar in summer."
    return "Hives need a dry place." if "section 2" in asked else "Bees\nHives"


def test_a_long_piece_is_outlined_divided_and_joined(bench: Any) -> None:
    llm = LLM(ScriptedEngine(written))
    job = bench.submit("Write a detailed guide to bees and hives", reply_to=("test:a",))

    bench.runner(lambda turn: answer(replace(turn, llm=llm))).work()

    assert bench.jobs.find(job).reply.text == (
        "## Bees\n\nBees gather nectar in summer.\n\n## Hives\n\nHives need a dry place."
    )
    assert len([each for each in bench.jobs.list() if each.parent == job]) == 2
