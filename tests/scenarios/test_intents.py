"""Intents, whole way: taught by the command line; slots filled over a conversation."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmasos.settings import Settings

TOOLS = '''
from llmasos import tool

@tool
def order_status(number: int, city: str) -> str:
    """Where an order is. number: the order. city: where it goes."""
    return f"Order {number} to {city} left on 3 May."
'''
SETTINGS = """
[agents.customer_service]
knowledge = []
[agents.customer_service.intents.order_status]
title = "Order status"
tool = "shop:order_status"
[agents.customer_service.intents.order_status.slots.number]
ask = "What is its number?"
"""
EXAMPLES = {
    "order_status": ["where is my order", "track my order please", "has my order shipped yet"],
    "opening_hours": ["when are you open", "what are your opening hours", "open on sunday?"],
    "": ["tell me a joke", "who won the match", "what is the weather like"],
}


@pytest.fixture
def llmasos(
    make_settings: Callable[..., Settings], tmp_path: Path, engine: Any
) -> Callable[..., Any]:
    """Runs a command in a folder whose customer service can look up orders."""
    (tmp_path / "shop.py").write_text(TOOLS)
    lines = [f'"{text}",{intent}' for intent, texts in EXAMPLES.items() for text in texts]
    (tmp_path / "intents.csv").write_text("\n".join(["text,intent", *lines]))
    make_settings(SETTINGS)
    there = {
        f"LLMASOS_{part}": value
        for kind in ("LLM", "EMBEDDING")
        for part, value in (
            (f"{kind}__{'URLS' if kind == 'LLM' else 'URL'}", engine.url),
            (f"{kind}__API_KEY", engine.key),
        )
    }

    def run(*words: str, said: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "integrations.cli.main", *words],
            input=said,
            env={**os.environ, **there},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def test_slots_are_filled_over_a_conversation_and_the_tool_is_called(
    llmasos: Callable[..., Any],
) -> None:
    taught = llmasos("agents", "train", "customer_service", "--intents", "intents.csv")
    talk = llmasos(
        "chat", "--agent", "customer_service", said="where is my order?\nit is 4711\nLeeds\n/quit\n"
    )

    assert taught.returncode == 0, taught.stderr
    assert "Learned 2 intents from 6 texts" in taught.stderr
    assert talk.returncode == 0, talk.stderr
    assert "Order status: What is its number?" in talk.stdout
    assert "Order status: please tell me this: where it goes." in talk.stdout
    assert "3 May" in talk.stdout


def test_what_cannot_be_learned_from_is_refused_by_name(
    llmasos: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "wrong.csv").write_text("message,label\nhello,greeting\n")

    wrong = llmasos("agents", "train", "customer_service", "--intents", "wrong.csv")
    other = llmasos("agents", "train", "writing", "--intents", "intents.csv")

    assert (wrong.returncode, other.returncode) == (2, 2)
    assert "text" in wrong.stderr
    assert "knows no intents" in other.stderr
