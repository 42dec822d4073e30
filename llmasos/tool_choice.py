"""Whether a message calls for one of the agent's tools, and with which arguments.

Small models call tools at random, so the model only chooses, bound by a grammar that always offers
"none", among tools that the message speaks of; and a call is made only when its required arguments
stand in the person's own words. A tool with effects is never called from here: that takes a
person's word, which a flow of its own can ask for. Start reading at `choose_call`.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from llmasos.errors import InvalidRequest
from llmasos.generation import Message
from llmasos.language.lexicon import GENERIC
from llmasos.language.questions import same
from llmasos.language.words import numbers, stem, terms
from llmasos.tools import Tool
from llmasos.turn import Turn

NONE = "none"
MOST_TOKENS = 120
"""Longest choice in tokens."""
_GENERIC = frozenset(stem(word) for word in GENERIC)


def choose_call(turn: Turn) -> tuple[Tool, dict[str, Any]] | None:
    """The tool to call and its arguments; None when no tool fits."""
    fitting = [
        tool for tool in turn.agent.tools if isinstance(tool, Tool) and _fits(tool, turn.text)
    ]
    tool = _chosen(turn, fitting) if fitting else None
    if tool is None:
        return None
    arguments = _arguments(turn, tool)
    return (tool, arguments) if arguments is not None else None


def _fits(tool: Tool, text: str) -> bool:
    """Whether a message speaks of what a tool is for.

    One with effects never fits unless people see the call before it is made.
    """
    if tool.effect and not tool.approvers:
        return False
    named = set(terms(tool.name.replace("_", " ")))
    about = named | {term for term in terms(tool.description) if term not in _GENERIC}
    return any(not same(term).isdisjoint(about) for term in terms(text))


def _chosen(turn: Turn, tools: list[Tool]) -> Tool | None:
    """The model's choice among tools and none."""
    listed = "\n".join(f"{tool.name}: {tool.description}" for tool in tools)
    schema = {
        "type": "object",
        "properties": {"tool": {"enum": [*(tool.name for tool in tools), NONE]}},
        "required": ["tool"],
        "additionalProperties": False,
    }
    system = f"Choose the tool that answers the message.\n{listed}\n{NONE}: no tool is needed"
    chosen = _asked(turn, system, schema).get("tool")
    return next((tool for tool in tools if tool.name == chosen), None)


def _arguments(turn: Turn, tool: Tool) -> dict[str, Any] | None:
    """The arguments, if those that are required stand in the message; others only if they do."""
    required = tool.parameters.get("required", [])
    if not tool.parameters["properties"]:
        return {}
    described = "\n".join(
        f"{name}: {each.get('description', '')}"
        for name, each in tool.parameters["properties"].items()
    )
    system = f"Copy the values from the message.\n{described}"
    given = {
        name: value
        for name, value in _asked(turn, system, tool.parameters).items()
        if _said(value, turn.text)
    }
    if any(name not in given for name in required):
        return None
    try:
        tool.checked(given)
    except InvalidRequest:
        return None
    return given


def _said(value: Any, text: str) -> bool:
    """Whether a value stands in a message."""
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, (int, float)):
        return f"{value:g}" in numbers(text)
    if isinstance(value, str):
        pattern = rf"(?<!\w){re.escape(value.strip())}(?!\w)"
        return bool(value.strip()) and bool(re.search(pattern, text, re.IGNORECASE))
    if isinstance(value, list):
        return bool(value) and all(_said(each, text) for each in value)
    return False


def _asked(turn: Turn, system: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """What the model answers under a grammar."""
    text = turn.llm.chat(
        [Message(role="system", content=system), Message(role="user", content=turn.text)],
        max_new_tokens=MOST_TOKENS,
        temperature=0.0,
        json_schema=dict(schema),
    )
    try:
        answer = json.loads(text)
    except ValueError:  # cut off by its length
        return {}
    return answer if isinstance(answer, dict) else {}
