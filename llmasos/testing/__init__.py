"""Public doubles for tests of agents and integrations: a scripted engine, a Slack stand-in.

Each name is loaded when it is first asked for, so that a test of an agent does not load a server.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmasos.testing.engine import ScriptedEngine, calls
    from llmasos.testing.hub import HubStandIn
    from llmasos.testing.jobs import MemoryJournal, MemoryPostJournal, RecordingChannel
    from llmasos.testing.retrieval import HashingEmbedder, ListRetriever
    from llmasos.testing.slack import SlackStandIn
    from llmasos.testing.turns import make_turn, reply_of

__all__ = [
    "HashingEmbedder",
    "HubStandIn",
    "ListRetriever",
    "MemoryJournal",
    "MemoryPostJournal",
    "RecordingChannel",
    "ScriptedEngine",
    "SlackStandIn",
    "calls",
    "make_turn",
    "reply_of",
]

_MODULES = {
    "engine": ("ScriptedEngine", "calls"),
    "hub": ("HubStandIn",),
    "jobs": ("MemoryJournal", "MemoryPostJournal", "RecordingChannel"),
    "retrieval": ("HashingEmbedder", "ListRetriever"),
    "slack": ("SlackStandIn",),
    "turns": ("make_turn", "reply_of"),
}
_HOMES = {name: f"llmasos.testing.{module}" for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'llmasos.testing' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
