"""What whoever takes a conversation over is told of it: who said what, in the order it was said.

Made of the conversation's own words, without a model: nothing in it can be invented, and it is
there also when no model answers. Knows a turn and nothing of places.
"""

from llmasos.events import Handoff
from llmasos.turn import Turn

MESSAGES = 12
"""The latest messages that are told."""
EACH = 200
"""Characters that are told of each."""
WHO = {"user": "Customer", "assistant": "Agent"}


def summed_up(turn: Turn, handoff: Handoff) -> Handoff:
    """A handoff with what was said before the turn's message."""
    earlier = [turn.recollection.summary] if turn.recollection.summary else []
    latest = [each for each in turn.history if each.role in WHO][-MESSAGES:]
    lines = [f"{WHO[each.role]}: {_short(each.content)}" for each in latest]
    return handoff.model_copy(update={"summary": "\n".join([*earlier, *lines])})


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= EACH else f"{words[:EACH]} …"
