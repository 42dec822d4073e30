"""A turn for tests: an agent answers offline, over doubles that the test chooses."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from llmasos.agent import Agent
from llmasos.colleagues import Colleagues
from llmasos.errors import UnknownAgent
from llmasos.events import Reply
from llmasos.flow import run
from llmasos.generation import Backend, Message
from llmasos.llm import LLM
from llmasos.request import LOCAL, Attachment, Principal, Request
from llmasos.retrieval import Passage
from llmasos.sandbox import Sandbox
from llmasos.testing.jobs import MemoryJournal
from llmasos.testing.retrieval import ListRetriever
from llmasos.turn import Turn


def make_turn(
    agent: Agent,
    text: str,
    backend: Backend,
    passages: Sequence[Passage] = (),
    history: Sequence[tuple[str, str]] = (),
    **parts: Any,
) -> Turn:
    """A turn over a backend and a list of passages.

    history: the conversation before it, as (role, text); parts: other parts of the `Turn`, and
    `principal` and `attachments` of its request; `others` may be a list of agents, whom it can ask.
    """
    principal: Principal = parts.pop("principal", LOCAL)
    attachments: tuple[Attachment, ...] = tuple(parts.pop("attachments", ()))
    retriever = parts.pop("retriever", None) or ListRetriever(passages, tuple(agent.knowledge))
    others = parts.pop("others", ())
    if isinstance(others, Sequence):
        others = Colleagues(partial(_turn_of, {each.name: each for each in others}))
    return Turn(
        others=others,
        agent=agent,
        request=Request(text=text, principal=principal, attachments=attachments),
        llm=parts.pop("llm", None) or LLM(backend),
        retriever=retriever,
        sandbox=parts.pop("sandbox", None) or Sandbox(),
        journal=parts.pop("journal", None) or MemoryJournal(),
        history=[Message.model_validate({"role": r, "content": t}) for r, t in history],
        **parts,
    )


def _turn_of(agents: dict[str, Agent], name: str, text: str, turn: Turn) -> Turn:
    """The turn of another agent, over the same parts."""
    if name not in agents:
        raise UnknownAgent(name, tuple(agents))
    request = turn.request.model_copy(update={"agent": name, "text": text})
    return replace(turn, agent=agents[name], request=request)


def reply_of(turn: Turn, seen: Callable[[Any], object] = lambda event: None) -> Reply:
    """Let the turn's agent answer; gives its reply. seen: called with each thing that it yields."""
    last: Any = None
    for last in run(turn):
        seen(last)
    if not isinstance(last, Reply):
        raise AssertionError(f"the agent ended with {last!r}, not with a Reply")
    return last
