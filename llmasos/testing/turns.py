"""A turn for tests: an agent answers offline, over doubles that the test chooses."""

from collections.abc import Callable, Sequence
from typing import Any

from llmasos.agent import Agent
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
    `principal` and `attachments` of its request.
    """
    principal: Principal = parts.pop("principal", LOCAL)
    attachments: tuple[Attachment, ...] = tuple(parts.pop("attachments", ()))
    retriever = parts.pop("retriever", None) or ListRetriever(passages, tuple(agent.knowledge))
    return Turn(
        agent=agent,
        request=Request(text=text, principal=principal, attachments=attachments),
        llm=parts.pop("llm", None) or LLM(backend),
        retriever=retriever,
        sandbox=parts.pop("sandbox", None) or Sandbox(),
        journal=parts.pop("journal", None) or MemoryJournal(),
        history=[Message.model_validate({"role": r, "content": t}) for r, t in history],
        **parts,
    )


def reply_of(turn: Turn, seen: Callable[[Any], object] = lambda event: None) -> Reply:
    """Let the turn's agent answer; gives its reply. seen: called with each thing that it yields."""
    last: Any = None
    for last in run(turn):
        seen(last)
    if not isinstance(last, Reply):
        raise AssertionError(f"the agent ended with {last!r}, not with a Reply")
    return last
