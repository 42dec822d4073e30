"""Public doubles for tests of agents and integrations: a scripted engine, a Slack stand-in."""

from llmasos.testing.engine import ScriptedEngine

__all__ = ["ScriptedEngine"]
