"""The kernel: what agents, knowledge, workers and integrations are built on.

These names are for authors of agents; each is loaded when it is first asked for, so that a light
command does not wait for the heavy ones. Everything else is in the modules beside this one.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmasos.agent import Agent, agent, prompt
    from llmasos.application import Application, LLMApp
    from llmasos.classifier import TextClassifier
    from llmasos.events import (
        Approval,
        Artifact,
        Citation,
        Delegate,
        Handoff,
        HandOver,
        Part,
        Reply,
        Status,
        Token,
    )
    from llmasos.generation import Message, Options
    from llmasos.limits import RunLimits
    from llmasos.llm import LLM
    from llmasos.recommender import Item, Profile, Recommender
    from llmasos.request import Principal, Request
    from llmasos.retrieval import Passage
    from llmasos.tools import tool
    from llmasos.turn import Turn

__all__ = [
    "LLM",
    "Agent",
    "Application",
    "Approval",
    "Artifact",
    "Citation",
    "Delegate",
    "HandOver",
    "Handoff",
    "Item",
    "LLMApp",
    "Message",
    "Options",
    "Part",
    "Passage",
    "Principal",
    "Profile",
    "Recommender",
    "Reply",
    "Request",
    "RunLimits",
    "Status",
    "TextClassifier",
    "Token",
    "Turn",
    "agent",
    "prompt",
    "tool",
]

_MODULES = {
    "agent": ("Agent", "agent", "prompt"),
    "application": ("Application", "LLMApp"),
    "classifier": ("TextClassifier",),
    "events": (
        "Approval",
        "Artifact",
        "Citation",
        "Delegate",
        "HandOver",
        "Handoff",
        "Part",
        "Reply",
        "Status",
        "Token",
    ),
    "generation": ("Message", "Options"),
    "limits": ("RunLimits",),
    "llm": ("LLM",),
    "recommender": ("Item", "Profile", "Recommender"),
    "request": ("Principal", "Request"),
    "retrieval": ("Passage",),
    "tools": ("tool",),
    "turn": ("Turn",),
}
_HOMES = {name: f"llmasos.{module}" for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'llmasos' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """A package in which the decorator `agent` is not hidden by the module that it comes from."""

    def __setattr__(self, name: str, value: Any) -> None:
        # Whoever imports the module `llmasos.agent` has it bound here, under the decorator's name.
        hides = isinstance(value, ModuleType) and name in _HOMES
        super().__setattr__(name, getattr(value, name) if hides else value)


sys.modules[__name__].__class__ = _Package
