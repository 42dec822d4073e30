"""Colleagues: how one agent asks another, or hands a message over to it.

Each runs by its own rules, with the asker's rights and within the limits of whoever asked; nobody
asks in a circle. What a port needs of it is in `turn.py`; who the others are is known to whoever
makes turns. Start reading at `Colleagues`.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from llmasos.agent import Emitted
from llmasos.errors import AgentsInCircle, EmptyReply, NotAllowed
from llmasos.events import Approval, Reply, Token
from llmasos.flow import run
from llmasos.memory import NoRecollection
from llmasos.turn import Suspended, Turn

DEEPEST = 4
"""How many agents may stand in a row behind the first."""


class Colleagues:
    """The other agents of a turn: a `turn.Others`.

    turn_of: makes the turn of an agent by its name, for a text, in the place of a turn that there
    is. It raises UnknownAgent, and NotAllowed when the person who asks may not use that agent.
    """

    def __init__(self, turn_of: Callable[[str, str, Turn], Turn]) -> None:
        self._turn_of = turn_of

    def emissions(self, name: str, text: str, turn: Turn) -> Iterator[Emitted]:
        """What another agent yields for a text; pieces that it has not checked are left out, if it
        checks what it shows, and its reply waits for its reviewers, if it has some.

        Raises UnknownAgent, NotAllowed or AgentsInCircle.
        """
        return self._shown(self._inner(name, text, turn))

    def _inner(self, name: str, text: str, turn: Turn) -> Turn:
        """The other agent's turn."""
        trail = (*turn.trail, turn.agent.name)
        if name in trail or len(trail) > DEEPEST:
            raise AgentsInCircle((*trail, name))
        return replace(self._turn_of(name, text, turn), trail=trail, meter=turn.meter)

    def _shown(self, inner: Turn) -> Iterator[Emitted]:
        """What may be seen of an inner run."""
        reviewers = tuple(inner.agent.reviewers)
        for emitted in run(inner):
            event = Token(text=emitted) if isinstance(emitted, str) else emitted
            if reviewers and isinstance(event, Reply):
                places = tuple(inner.agent.review_in)
                raise Suspended(Approval.of_reply(event, reviewers, places))
            if not isinstance(event, Token):
                yield event
            elif not reviewers and (event.checked or not inner.agent.checked):
                yield Token(text=event.text, checked=True)

    def ask(self, name: str, text: str, turn: Turn) -> Reply:
        """Another agent's reply to a text, which is no part of the conversation.

        Raises as `emissions` does; NotAllowed also for one whose answers people must read first;
        and EmptyReply.
        """
        inner = self._inner(name, text, turn)
        if inner.agent.reviewers:
            who, why = turn.principal.name or turn.principal.id, "People read its answers first."
            raise NotAllowed(who, f"have '{name}' asked by another agent", why)
        said = ""
        for emitted in self._shown(replace(inner, history=(), recollection=NoRecollection())):
            turn.checkpoint()
            if isinstance(emitted, Reply):
                return emitted
            if isinstance(emitted, Token):
                said += emitted.text
        if not said.strip():
            raise EmptyReply(name, "it ended silently")
        return Reply(text=said)
