"""`llmasos ask` and `chat` where no system runs: an engine and a worker of their own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmasos.settings import Settings

AGENTS = """
from llmasos.agent import agent

@agent("writer", "Goes on with a text.")
def writer(turn):
    yield turn.llm.generate_text(turn.text, max_new_tokens=8)

@agent("counter", "Counts what was said before.")
def counter(turn):
    yield f"{len(turn.history)} before {turn.text}"

@agent("broken", "Breaks.")
def broken(turn):
    raise ValueError("inside")
    yield ""
"""


@pytest.fixture
def run(make_settings: Callable[..., Settings], tmp_path: Path) -> Callable[..., Any]:
    (tmp_path / "mine.py").write_text(AGENTS)
    make_settings('agents.load = ["./mine.py"]')

    def command(
        *words: str, said: str = "", engine: bool = False
    ) -> subprocess.CompletedProcess[str]:
        # Most agents here ask no model: for them an address is enough, and nothing is started.
        nobody = "http://127.0.0.1:9"
        known = {} if engine else {"LLMASOS_LLM__URLS": nobody, "LLMASOS_EMBEDDING__URL": nobody}
        return subprocess.run(
            [sys.executable, "-m", "integrations.cli.main", *words],
            input=said,
            env={**os.environ, **known},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=110,
        )

    return command


def test_the_answer_of_the_embedded_model_is_all_that_is_printed(run: Callable[..., Any]) -> None:
    asked = run("ask", "-", "--agent", "writer", said="The capital of France is", engine=True)
    kept = run("jobs", "list", "--json").stdout

    assert asked.returncode == 0, asked.stderr
    assert "Paris" in asked.stdout
    assert "starting an engine" in asked.stderr
    assert '"status": "succeeded"' in kept


def test_a_conversation_remembers_what_was_said(run: Callable[..., Any]) -> None:
    chat = run("chat", "--agent", "counter", said="one\n\ntwo\n/quit\nthree\n")

    assert chat.returncode == 0, chat.stderr
    assert chat.stdout == "0 before one\n2 before two\n"


def test_a_failed_job_is_an_exit_code_and_a_message(run: Callable[..., Any]) -> None:
    failed = run("ask", "Hello", "--agent", "broken")

    assert (failed.returncode, failed.stdout) == (1, "")
    assert "'broken' broke down" in failed.stderr
    assert "inside" not in failed.stderr


def test_what_cannot_be_asked_is_said_before_anything_starts(run: Callable[..., Any]) -> None:
    unknown = run("ask", "Hello", "--agent", "conter")

    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "Did you mean 'counter'?" in unknown.stderr
    assert "starting" not in unknown.stderr
