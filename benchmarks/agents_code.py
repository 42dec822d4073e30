"""HumanEval: the code agent against the same model asked once, by the problems' own tests.

The agent sees the problem alone: its checks are the doctests in it, or those it writes itself. The
peer is the same model asked once, in a chat and by going on from the problem's text, each greedy.
Each is stopped as soon as its block or function is over. All are held to the problem's hidden tests
in the sandbox. The budgets of tokens are printed.

A line of figures is printed after each problem: the last is the result. The problems are taken in a
random order that is always the same, so that the first N are a fair part of all. On a busy machine
an engine with one thread (LLMASOS_ENGINE__THREADS=1) is the faster one.

    python benchmarks/agents_code.py --data FOLDER [--limit N] [--model NAME]
"""

import argparse
import json
import random
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from agents.code_generation import EFFORT, code_generation
from agents.code_patch import completed
from agents.code_request import block_of, header_in
from agents.code_search import body_of
from llmasos import LLM, Turn
from llmasos.flow import prompt_of
from llmasos.generation import Usage
from llmasos.prompting import sampling
from llmasos.sandbox import Sandbox
from llmasos.testing import make_turn, reply_of

SANDBOX = Sandbox()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of the data sets")
    parser.add_argument("--limit", type=int, help="how many problems; else all")
    parser.add_argument("--model", default="smollm2-135m-instruct", help="the model to ask")
    options = parser.parse_args()
    rows = (options.data / "humaneval" / "problems_dev.jsonl").read_text().splitlines()
    random.Random(1).shuffle(rows)
    model = LLM.from_pretrained(options.model)
    passed: Counter[str] = Counter()
    written: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    for number, row in enumerate(rows[: options.limit], start=1):
        problem = json.loads(row)
        for way, solve in (("chat", _chat), ("continued", _continued), ("agent", _agent)):
            usage = Usage()
            turn = make_turn(
                code_generation, problem["prompt"], model.backend, llm=model.metered(usage)
            )
            started = time.monotonic()
            passed[way] += _right(problem, solve(turn))
            written[way] += usage.completion_tokens
            seconds[way] += round(time.monotonic() - started)
        line = {
            "problems": number,
            "passed": passed,
            "tokens_written": written,
            "most_tokens_once": code_generation.options.max_new_tokens,
            "most_tokens_agent": EFFORT.tokens,
            "seconds": seconds,
        }
        print(json.dumps(line), flush=True)


def _chat(turn: Turn) -> str:
    """What the model answers when it is asked once."""
    text = ""
    with closing(turn.llm.stream_chat(prompt_of(turn), **sampling(turn.agent.options))) as pieces:
        for piece in pieces:
            text += piece
            if text.count("```") >= 2:
                break
    return block_of(text)[1]


def _continued(turn: Turn) -> str:
    """What the model goes on with from the problem's text, up to the next thing at the margin."""
    begun, text = turn.text.rstrip(), ""
    with closing(turn.llm.stream_text(begun, **sampling(turn.agent.options))) as pieces:
        for piece in pieces:
            text += piece
            if body_of(text) != text:
                break
    return begun + body_of(text)


def _agent(turn: Turn) -> str:
    """What the agent replies."""
    artifacts = reply_of(turn).artifacts
    return (artifacts[-1].text or "") if artifacts else ""


def _right(problem: dict[str, Any], code: str) -> bool:
    """Whether code passes the problem's own tests."""
    whole = completed(code, header_in(problem["prompt"]))
    program = f"{whole}\n{problem['test']}\ncheck({problem['entry_point']})\nprint('passed')\n"
    result = SANDBOX.run({"main.py": program}, ["python3", "main.py"])
    return result.ok and result.stdout.endswith("passed\n")


if __name__ == "__main__":
    main()
