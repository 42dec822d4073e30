"""The dialogue about an intent: which one is meant, what its action needs, and its result.

`customer_service_intents.py` tells the intent, `customer_service_actions.py` reads slots; this
joins them into what is said next. A tool with effects is called once the customer has confirmed it.
Start reading at `Dialogue`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agents.customer_service_actions import (
    Action,
    Slot,
    choices_of,
    chosen,
    clarifying,
    slots_of,
    underway,
)
from agents.customer_service_intents import Intents
from llmasos.agent import Emitted
from llmasos.errors import InvalidRequest, ToolFailed
from llmasos.events import ASKER, Handoff, Reply, Token
from llmasos.flow import tell_result
from llmasos.grounded import grounded
from llmasos.language.phrases import say
from llmasos.language.words import is_chinese
from llmasos.settings import IntentSettings
from llmasos.tools import Tool, as_tool
from llmasos.turn import Turn

MOST_TRIES = 2
"""A slot that was asked for so often, in vain, is left to a person."""
LETTERS = 4
"""Letters of a message whose language can be told."""
DROP = re.compile(
    r"\W*(?:never ?mind|cancel(?: (?:this|that|it))?|stop|forget (?:it|that|about it)"
    r"|算了|不用了|取消)\W*",
    re.IGNORECASE,
)
Told = Sequence[tuple[Slot | None, str]]


@dataclass(frozen=True)
class Dialogue:
    """What is said about intents.

    intents: who tells them; None: nobody. wanted: what the configuration says of some of them.
    """

    intents: Intents | None
    wanted: Mapping[str, IntentSettings]

    def going_on(self, turn: Turn) -> Iterator[Emitted] | None:
        """What comes next where an action or a choice is under way; None: nothing is."""
        actions = self._actions(turn)
        for action in actions.values():
            granted = turn.approved_call(action.tool)
            if granted is not None:
                return _called(turn, action, granted, asking(turn, voice(turn)))
        begun = underway(list(actions.values()), turn.history, turn.text)
        if begun is None:
            return self._decided(turn, actions)
        if DROP.fullmatch(turn.text):
            return said(say("dropped", voice(turn)))
        asked = begun.told[-1][0]
        if asked and asked.name not in begun.action.values(begun.told):
            if asks(turn.text):
                return None  # another question goes before
            return _asked_again(turn, begun.action, asked, begun.tries)
        return _advanced(turn, begun.action, begun.told)

    def begun(self, turn: Turn) -> Iterator[Emitted] | None:
        """What is said first to the intent of a message; None: the documents are to answer."""
        names = self.intents.of(turn.text) if self.intents and self.wanted else ()
        if len(names) > 1 and not self.wanted.keys().isdisjoint(names):
            if choices_of(_last_said(turn)):
                return None  # asked once is enough
            titles = [self._title(name) for name in names]
            return said(clarifying(titles, voice(turn)))
        action = self._actions(turn).get(names[0]) if len(names) == 1 else None
        return _advanced(turn, action, ((None, turn.text),)) if action else None

    def _decided(self, turn: Turn, actions: Mapping[str, Action]) -> Iterator[Emitted] | None:
        """What comes of an answer to the question which of several things is meant."""
        title = chosen(choices_of(_last_said(turn)), turn.text)
        if title is None:
            return None
        first = next(each.content for each in reversed(turn.history) if each.role == "user")
        for action in actions.values():
            if action.title == title:
                return _advanced(turn, action, ((None, first),))
        return grounded(asking(turn, f"{first} ({title})"))

    def _title(self, name: str) -> str:
        own = self.wanted.get(name)
        return (own.title if own else None) or name.replace("_", " ").replace("-", " ")

    def _actions(self, turn: Turn) -> dict[str, Action]:
        """The actions there are for intents, with tools that the agent has."""
        tools = {tool.name: _confirmed(tool) for tool in map(as_tool, turn.agent.tools)}
        return {
            name: Action(self._title(name), tool, slots_of(tool, each.slots))
            for name, each in self.wanted.items()
            if each.tool and (tool := tools.get(each.tool.rpartition(":")[2]))
        }


def _confirmed(tool: Tool) -> Tool:
    """A tool; one with effects that nobody must grant is granted by the customer."""
    return replace(tool, approvers=(ASKER,)) if tool.effect and not tool.approvers else tool


def _advanced(turn: Turn, action: Action, told: Told) -> Iterator[Emitted]:
    """Ask for what is missing, or do it."""
    values = action.values(told)
    missing = action.missing(values)
    if missing:
        return said(action.question(missing, voice(turn)))
    try:
        action.tool.checked(values)
    except InvalidRequest as error:
        reason = f"{action.title}: {error.message()}"
        return said(say("slot_failed", voice(turn)), Handoff(reason=reason))
    return _called(turn, action, values, asking(turn, told[0][1] or turn.text))


def _asked_again(turn: Turn, action: Action, slot: Slot, tries: int) -> Iterator[Emitted]:
    if tries >= MOST_TRIES:
        reason = f"{action.title}: '{slot.name}' was not found in the answers"
        return said(say("slot_failed", voice(turn)), Handoff(reason=reason))
    return said(f"{say('slot_again', voice(turn))} {action.question(slot, voice(turn))}")


def _called(
    turn: Turn, action: Action, values: Mapping[str, Any], asked: Turn
) -> Iterator[Emitted]:
    """Call the tool, and tell what came of it. asked: the turn as the customer began it."""
    try:
        call = turn.call(action.tool, **values)
    except ToolFailed as error:
        text = say("tool_failed", voice(turn), name=action.title)
        yield from said(text, Handoff(reason=f"{error.tool} failed"))
        return
    yield call
    yield from tell_result(asked, call)


def said(text: str, handoff: Handoff | None = None) -> Iterator[Emitted]:
    """A text of our own, and the reply that it is."""
    yield Token(text=text, checked=True)
    yield Reply(text=text, confidence=1.0, handoff=handoff)


def asks(text: str) -> bool:
    """Whether a message asks something, so that it is answered whatever else it says."""
    return "?" in text or "？" in text


def voice(turn: Turn) -> str:
    """The customer's latest words whose language can be told: a bare number has none."""
    earlier = (each.content for each in reversed(turn.history) if each.role == "user")
    for text in (turn.text, *earlier):
        if is_chinese(text) or sum(letter.isalpha() for letter in text) >= LETTERS:
            return text
    return turn.text


def asking(turn: Turn, text: str) -> Turn:
    """The turn with another message in its place."""
    return replace(turn, request=turn.request.model_copy(update={"text": text}))


def _last_said(turn: Turn) -> str:
    """What the agent said last."""
    return next((e.content for e in reversed(turn.history) if e.role == "assistant"), "")
