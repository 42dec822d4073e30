"""How an agent answers: by its own flow, or from its tools, its collections, the model alone.

Whoever has a turn calls `run`. For a declared agent a tool is asked first (`tool_choice.py`); one
with knowledge answers as `grounded.py` says; the others stream what the model says to their
instructions and the conversation. Start at `run`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from llmasos.agent import Emitted
from llmasos.errors import AgentBroke, ToolFailed
from llmasos.events import HandOver, Reply, Token, ToolCall
from llmasos.generation import Backend, Message
from llmasos.grounded import grounded
from llmasos.guards import broken_rule, quoted, recites
from llmasos.language.phrases import say
from llmasos.language.words import names, numbers
from llmasos.llm import LLM
from llmasos.masking import MaskedBackend
from llmasos.memory import recall
from llmasos.meter import Meter, MeteredBackend
from llmasos.prompting import PER_MESSAGE, budget, sampling, shortened
from llmasos.request import Attachment
from llmasos.tool_choice import choose_call
from llmasos.tool_loop import DATA, ToolLoop, tokens_of
from llmasos.tools import Tool, as_tool
from llmasos.turn import Turn

RECITED_LENGTH = 400
"""Characters at the end of an answer that is being written in which a recital is looked for."""
ONE_SENTENCE = 80
"""Tokens in which a tool's result is told."""


def run(turn: Turn) -> Iterator[Emitted]:
    """Answer one message: yields events and texts, a `Reply` last; refuses what guards refuse.

    What could not be read of the message's files is said below the answer.
    """
    unread = [each for each in turn.request.attachments if each.unread]
    nothing_left = bool(unread) and not turn.text.strip() and not turn.attachments
    emitted = iter(()) if nothing_left else _guarded(turn)
    if turn.alternatives:
        emitted = _with_alternatives(emitted, turn.alternatives)
    return _with_note(emitted, unread, turn.text) if unread else emitted


def _with_alternatives(
    emitted: Iterator[Emitted], alternatives: tuple[str, ...]
) -> Iterator[Emitted]:
    """What an agent emits; where it finds nothing, with the agents that may be meant instead."""
    for each in emitted:
        if isinstance(each, Reply) and each.handoff is not None:
            yield each.model_copy(update={"alternatives": alternatives})
        else:
            yield each


def _guarded(turn: Turn) -> Iterator[Emitted]:
    """What the agent emits, unless a guard refuses the message."""
    refusal = _refusal(turn)
    if refusal:
        yield from _final(refusal)
        return
    metered = _metered(turn)
    for emitted in emissions(turn.agent.name, (turn.agent.flow or answer)(metered)):
        if isinstance(emitted, HandOver):
            yield from metered.hand_over(emitted.to, emitted.text)
            return
        yield emitted


def emissions(agent: str, yielded: Any) -> Iterator[Any]:
    """What an agent's flow gives, one by one, also when it returns its answer instead of yielding.

    Raises AgentBroke when it gives nothing of the kind.
    """
    if isinstance(yielded, (str, BaseModel, HandOver)):
        return iter((yielded,))
    if not isinstance(yielded, Iterable):
        kind = type(yielded).__name__
        raise AgentBroke(agent, f"its flow gave {kind}: it must yield events or texts")
    return iter(yielded)


def _refusal(turn: Turn) -> Reply | None:
    """What is said instead of an answer to a message that breaks a rule."""
    guards = turn.guards
    rule = broken_rule(
        turn.text,
        injection=guards.injection,
        max_length=guards.max_length,
        languages=guards.languages,
    )
    if rule is None:
        return None
    parts = {
        "length": len(turn.text),
        "most": guards.max_length,
        "languages": ", ".join(guards.languages),
    }
    return _blocked(turn, rule, **parts)


def _blocked(turn: Turn, rule: str, **parts: object) -> Reply:
    return Reply(text=say(f"blocked_{rule}", turn.text, **parts), blocked={"rule": rule})


def _metered(turn: Turn) -> Turn:
    """The turn with its use counted, and with what the model may not see hidden from it."""
    meter = Meter(turn.agent.name, turn.agent.limits, turn.meter)
    outer = turn.checkpoint

    def checkpoint() -> None:
        outer()
        meter.check_time()

    backend: Backend = MeteredBackend(turn.llm.backend, meter)
    if turn.guards.mask_models:
        backend = MaskedBackend(backend)
    llm = LLM(backend, turn.llm.options, turn.llm.usage)
    return replace(turn, llm=llm, meter=meter, checkpoint=checkpoint)


def _with_note(
    emitted: Iterator[Emitted], unread: Sequence[Attachment], asked: str
) -> Iterator[Emitted]:
    """What an agent emits, and in the end which files it was not given."""
    reasons = "\n".join(f"{each.name}: {each.unread}" for each in unread)
    note = f"{say('unread', asked)}\n{reasons}"
    said = False
    for each in emitted:
        if isinstance(each, Reply):
            yield each.model_copy(update={"text": f"{each.text}\n\n{note}"})
            return
        said = said or isinstance(each, (str, Token))
        yield each
    yield Token(text=f"\n\n{note}" if said else note, checked=True)


def answer(turn: Turn) -> Iterator[Emitted]:
    """The flow of a declared agent."""
    choice = _approved(turn)
    if choice is None and turn.calls_tools and (tools := _callable(turn)):
        yield from _with_tools(turn, tools)
        return
    choice = choice or choose_call(turn)
    if choice:
        tool, arguments = choice
        try:
            call = turn.call(tool, **arguments)
        except ToolFailed as error:
            yield from _final(Reply(text=say("tool_failed", turn.text, name=error.tool)))
            return
        yield call
        yield from tell_result(turn, call)
    elif turn.agent.knowledge:
        yield from grounded(turn)
    elif turn.agent.output:
        yield from _filled(turn, prompt_of(turn))
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
    system = instructions if instructions is not None else turn.agent.instructions
    with closing(
        turn.llm.stream_chat(prompt_of(turn, system), **sampling(turn.agent.options))
    ) as pieces:
        for piece in pieces:
            turn.checkpoint()
            text += piece
            if recites(text[-RECITED_LENGTH:], system):
                yield _blocked(turn, "recital")
                return
            yield Token(text=piece)
    if text.strip():
        yield Reply(text=text.strip())
    else:
        yield Reply(text=say("empty", turn.text), confidence=0.0)


def _filled(turn: Turn, prompt: list[Message]) -> Iterator[Emitted]:
    """Answer with an object of the agent's `output`."""
    kind = turn.agent.output
    assert kind is not None
    value = turn.llm.chat(prompt, schema=kind)
    plain = value.model_dump(mode="json")
    yield from _final(Reply(text=json.dumps(plain, ensure_ascii=False), output=plain))


def prompt_of(turn: Turn, instructions: str | None = None, reserved: int = 0) -> list[Message]:
    """Instructions, as much of the conversation as fits, and the message below its files.

    The message comes last: of what stands in a file it has the last word.
    reserved: tokens that something else takes.
    """
    system = instructions if instructions is not None else turn.agent.instructions
    left = budget(turn.llm, turn.agent.options) - reserved
    left -= turn.llm.count_tokens(f"{system}{turn.text}")
    left -= 2 * PER_MESSAGE
    parts: list[str] = []
    for attachment in turn.attachments:
        part = shortened(attachment.text, max(0, left), turn.llm)
        left -= turn.llm.count_tokens(part) + PER_MESSAGE
        parts.append(quoted(part, attachment.name))
    message = "\n\n".join(filter(None, [*parts, turn.text]))
    summary, window = recall(turn.recollection, turn.history, left, turn.llm)
    if summary:
        system = f"{system}\n\n{quoted(summary, 'earlier')}".strip()
    return [
        *([Message(role="system", content=system)] if system.strip() else []),
        *window,
        Message(role="user", content=message),
    ]


def _callable(turn: Turn) -> list[Tool]:
    """The tools that a model may call: of those with effects the ones that people grant."""
    return [tool for tool in map(as_tool, turn.agent.tools) if tool.approvers or not tool.effect]


def _with_tools(turn: Turn, tools: list[Tool]) -> Iterator[Emitted]:
    """Let the model call tools until it answers.

    An agent that shows only what is checked says no number and no name that nobody told it; and
    where it called nothing it answers from its collections.
    """
    loop = ToolLoop(turn, tools)
    instructions = f"{turn.agent.instructions.strip()}\n{DATA}".strip()
    prompt = prompt_of(turn, instructions, tokens_of(turn, tools))
    with closing(loop.run(prompt)) as said:
        for emitted in said:
            if recites(loop.text[-RECITED_LENGTH:], turn.agent.instructions):
                yield _blocked(turn, "recital")
                return
            if isinstance(emitted, ToolCall) or not turn.agent.checked:
                yield emitted
    if turn.agent.knowledge and not loop.calls:
        yield from grounded(turn)
        return
    text = loop.text.strip()
    if turn.agent.output:
        yield from _filled(turn, [*prompt, *_results(loop.calls)])
        return
    if turn.agent.checked:
        known = "\n".join([*(m.content for m in prompt), *(call.result for call in loop.calls)])
        if not (numbers(text) <= numbers(known) and names(text) <= names(known)):
            told = (say("tool", turn.text, name=c.name, result=c.result) for c in loop.calls)
            text = "\n\n".join(told)
        yield Token(text=text, checked=True)
    if text:
        yield Reply(text=text)
    else:
        yield Reply(text=say("empty", turn.text), confidence=0.0)


def _results(calls: Sequence[ToolCall]) -> list[Message]:
    """What tools gave, as a message."""
    told = "\n".join(quoted(call.result, call.name) for call in calls)
    return [Message(role="user", content=told)] if told else []


def _final(reply: Reply) -> Iterator[Emitted]:
    """A reply that needs no check, shown before it is stored."""
    yield Token(text=reply.text, checked=True)
    yield reply


def tell_result(turn: Turn, call: ToolCall) -> Iterator[Emitted]:
    """Say what a tool gave: in the model's words if they keep its facts, else as it is."""
    system = f"{turn.agent.instructions.strip()}\nTell the user the result in one sentence.".strip()
    asked = f"{turn.text}\n\n{quoted(call.result, 'result')}"
    messages = [Message(role="system", content=system), Message(role="user", content=asked)]
    if turn.agent.output:
        yield from _filled(turn, messages)
        return
    options = turn.agent.options.merged({"max_new_tokens": ONE_SENTENCE})
    text = turn.llm.chat(messages, **sampling(options)).strip()
    if not keeps_facts(text, call.result, allowed=asked):
        text = say("tool", turn.text, name=call.name, result=call.result)
    yield from _final(Reply(text=text))


def keeps_facts(text: str, original: str, allowed: str) -> bool:
    """Whether a text has all numbers and names of the original, and none but the allowed ones."""
    if not text or len(text) > 4 * len(allowed):
        return False
    kept = numbers(original) <= numbers(text) and all(
        name in text.lower() for name in names(original)
    )
    return kept and numbers(text) <= numbers(allowed) and names(text) <= names(allowed)
