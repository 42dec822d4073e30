"""Thread memory: what was said before, as much as the model takes, and a summary of the rest.

The window holds the latest messages. When a conversation has outgrown it, the model puts what
falls out into a few sentences, once, and they are kept with the conversation. Summary and messages
are data in the prompt, not orders. Start reading at `recall`.
"""

from collections.abc import Sequence
from typing import Protocol

from llmasos.generation import Message
from llmasos.guards import quoted
from llmasos.language.phrases import say
from llmasos.llm import LLM
from llmasos.prompting import PER_MESSAGE, shortened, windowed

SUMMARY_TOKENS = 120
"""Tokens of a summary."""
ENOUGH = 4
"""A summary is written when at least so many messages have fallen out of the window."""


class Recollection(Protocol):
    """Keeps the summary of a conversation.

    Implementations: `conversations.ThreadRecollection`, `NoRecollection`.
    """

    @property
    def summary(self) -> str:
        """What was said before the messages of the turn's history; empty when that is all."""
        ...

    def keep(self, summary: str, messages: int) -> None:
        """Keep a new summary. messages: how many of the history it covers, from the oldest on."""
        ...


class NoRecollection:
    """Of a message that belongs to no conversation."""

    summary = ""

    def keep(self, summary: str, messages: int) -> None:
        """Forget it."""


def recall(
    memory: Recollection, history: Sequence[Message], tokens: int, llm: LLM
) -> tuple[str, list[Message]]:
    """The summary and the latest messages of a conversation, within so many tokens together."""
    room = tokens - (llm.count_tokens(memory.summary) + PER_MESSAGE if memory.summary else 0)
    window = windowed(history, room, llm)
    lost = len(history) - len(window)
    if lost < ENOUGH or tokens < 2 * SUMMARY_TOKENS:
        return memory.summary, window
    # Make room for more than this turn, so that not every turn writes a summary anew.
    window = windowed(history, (tokens - SUMMARY_TOKENS) // 2, llm)
    lost = len(history) - len(window)
    summary = _summarised(memory.summary, history[:lost], tokens, llm)
    memory.keep(summary, lost)
    return summary, window


def _summarised(before: str, messages: Sequence[Message], tokens: int, llm: LLM) -> str:
    """A summary of the one before and of messages, written by the model."""
    said = "\n".join(f"{each.role}: {each.content}" for each in messages)
    told = shortened(f"{before}\n{said}".strip(), tokens - SUMMARY_TOKENS, llm)
    asked = [
        Message(role="system", content=say("summarise", said)),
        Message(role="user", content=quoted(told, "conversation")),
    ]
    text = llm.chat(asked, max_new_tokens=SUMMARY_TOKENS, temperature=0.0).strip()
    return text or shortened(told, SUMMARY_TOKENS, llm)
