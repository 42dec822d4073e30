"""How an agent answers: by its own flow, or from its tools, its collections, the model alone.

Whoever has a turn calls `run`. For a declared agent a tool is asked first (`tool_choice.py`); one
with knowledge answers as `grounded.py` says; the others stream what the model says to their
instructions and the conversation. Start at `run`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from llmasos.agent import Emitted
from llmasos.events import Reply, Token, ToolCall
from llmasos.generation import Message
from llmasos.grounded import grounded
from llmasos.language.phrases import say
from llmasos.language.words import names, numbers
from llmasos.prompting import PER_MESSAGE, budget, sampling, shortened, windowed
from llmasos.tool_choice import choose_call
from llmasos.tools import Tool, as_tool
from llmasos.turn import Turn

ONE_SENTENCE = 80
"""Tokens in which a tool's result is told."""


def run(turn: Turn) -> Iterator[Emitted]:
    """Answer one message: yields events and texts, a `Reply` last."""
    return (turn.agent.flow or answer)(turn)


def answer(turn: Turn) -> Iterator[Emitted]:
    """The flow of a declared agent."""
    choice = _approved(turn) or choose_call(turn)
    if choice:
        tool, arguments = choice
        call = turn.call(tool, **arguments)
        yield call
        yield from _from_result(turn, call)
    elif turn.agent.knowledge:
        yield from grounded(turn)
    else:
        yield from converse(turn)


def _approved(turn: Turn) -> tuple[Tool, Mapping[str, Any]] | None:
    """The call that people were asked about in an earlier run: it is not chosen anew."""
    for tool in map(as_tool, turn.agent.tools):
        arguments = turn.approved_call(tool)
        if arguments is not None:
            return tool, arguments
    return None


def converse(turn: Turn, instructions: str | None = None) -> Iterator[Emitted]:
    """Stream what the model answers to instructions, conversation and message.

    instructions: other ones than the agent's own.
    """
    text = ""
    for piece in turn.llm.stream_chat(
        prompt_of(turn, instructions), **sampling(turn.agent.options)
    ):
        turn.checkpoint()
        text += piece
        yield Token(text=piece)
    if text.strip():
        yield Reply(text=text.strip())
    else:
        yield Reply(text=say("empty", turn.text), confidence=0.0)


def prompt_of(turn: Turn, instructions: str | None = None) -> list[Message]:
    """Instructions, as much of the conversation as fits, and the message with its files."""
    system = instructions if instructions is not None else turn.agent.instructions
    left = budget(turn.llm, turn.agent.options) - turn.llm.count_tokens(f"{system}{turn.text}")
    left -= 2 * PER_MESSAGE
    message = turn.text
    for attachment in turn.attachments:
        part = shortened(attachment.text, max(0, left), turn.llm)
        left -= turn.llm.count_tokens(part) + PER_MESSAGE
        message += f"\n\nFile {attachment.name}:\n{part}"
    return [
        *([Message(role="system", content=system)] if system.strip() else []),
        *windowed(turn.history, left, turn.llm),
        Message(role="user", content=message),
    ]


def _from_result(turn: Turn, call: ToolCall) -> Iterator[Emitted]:
    """Say what a tool gave: in the model's words if they keep its facts, else as it is."""
    system = f"{turn.agent.instructions.strip()}\nTell the user the result in one sentence.".strip()
    asked = f"{turn.text}\n\nResult of {call.name}: {call.result}"
    messages = [Message(role="system", content=system), Message(role="user", content=asked)]
    options = turn.agent.options.merged({"max_new_tokens": ONE_SENTENCE})
    text = turn.llm.chat(messages, **sampling(options)).strip()
    if not keeps_facts(text, call.result, allowed=asked):
        text = say("tool", turn.text, name=call.name, result=call.result)
    yield Token(text=text, checked=True)
    yield Reply(text=text)


def keeps_facts(text: str, original: str, allowed: str) -> bool:
    """Whether a text has all numbers and names of the original, and none but the allowed ones."""
    if not text or len(text) > 4 * len(allowed):
        return False
    kept = numbers(original) <= numbers(text) and all(
        name in text.lower() for name in names(original)
    )
    return kept and numbers(text) <= numbers(allowed) and names(text) <= names(allowed)
