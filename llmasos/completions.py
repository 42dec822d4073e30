"""The chat protocol that TGI and every OpenAI-compatible server speak: bodies out, pieces in.

Pure translation between our port (generation.py) and `/v1/chat/completions`; the wire is
elsewhere. Start reading at `chat_pieces`.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from llmasos.errors import GenerationFailed
from llmasos.generation import Message, Options, Piece, ToolCall

_REASONS = {"stop": "eos_token", "function_call": "tool_calls"}
"""Their reasons to end by ours; a reason that is not here has the same name."""


def plain_message(message: Message) -> dict[str, Any]:
    """A message as the protocol has it: without content where it only calls tools."""
    plain: dict[str, Any] = {"role": message.role}
    if message.content or not message.tool_calls:
        plain["content"] = message.content
    if message.tool_calls:
        plain["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": json.dumps(call.arguments, ensure_ascii=False),
                },
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        plain["tool_call_id"] = message.tool_call_id
    return plain


def tool_fields(options: Options) -> dict[str, Any]:
    """What a chat's body says of tools; nothing where there are none."""
    if not options.tools:
        return {}
    choice: Any = options.tool_choice
    if choice not in ("auto", "none", "required"):
        choice = {"type": "function", "function": {"name": choice}}
    tools = [{"type": "function", "function": tool.model_dump()} for tool in options.tools]
    return {"tools": tools, "tool_choice": choice}


def sampling_fields(options: Options) -> dict[str, Any]:
    """How to sample and when to stop, in the names that all of them know."""
    greedy = options.temperature == 0
    plain = {
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": options.max_new_tokens,
        "temperature": options.temperature,
        "top_p": None if greedy or options.top_p == 1 else options.top_p,
        "stop": list(options.stop) or None,
        "seed": options.seed,
    }
    return {name: value for name, value in plain.items() if value is not None}


def chat_pieces(events: Iterator[dict[str, Any]], url: str) -> Iterator[Piece]:
    """The pieces of a chat's events; the last one has no text but the tool calls and the counts.

    url: whose they are. Raises GenerationFailed when they break off, or call a tool unreadably.
    """
    usage: dict[str, Any] = {}
    reason, spoken = None, 0
    calls: dict[int, dict[str, str]] = {}
    with closing(events):  # type: ignore[type-var]  # all are generators
        for event in events:
            usage = event.get("usage") or usage
            for choice in (event.get("choices") or ())[:1]:
                reason = reason_of(choice) or reason
                delta = choice.get("delta") or {}
                _gather(calls, delta.get("tool_calls") or ())
                if text := delta.get("content"):
                    spoken += 1  # a server sends a piece a token
                    yield Piece(text=text)
    if reason is None:
        raise broken_off(url)
    yield Piece(
        text="",
        finish_reason="tool_calls" if calls else reason,
        tool_calls=tuple(_call(index, calls[index], url) for index in sorted(calls)),
        prompt_tokens=usage.get("prompt_tokens") or 0,
        completion_tokens=usage.get("completion_tokens") or spoken,
    )


def text_pieces(events: Iterator[dict[str, Any]], url: str) -> Iterator[Piece]:
    """The pieces of `/v1/completions`. Raises GenerationFailed when they break off."""
    usage: dict[str, Any] = {}
    reason, spoken = None, 0
    with closing(events):  # type: ignore[type-var]
        for event in events:
            usage = event.get("usage") or usage
            for choice in (event.get("choices") or ())[:1]:
                reason = reason_of(choice) or reason
                if text := choice.get("text"):
                    spoken += 1
                    yield Piece(text=text)
    if reason is None:
        raise broken_off(url)
    yield Piece(
        text="",
        finish_reason=reason,
        prompt_tokens=usage.get("prompt_tokens") or 0,
        completion_tokens=usage.get("completion_tokens") or spoken,
    )


def reason_of(choice: dict[str, Any]) -> str | None:
    """Why a choice ended, in our words; None: it has not."""
    reason = choice.get("finish_reason")
    if reason == "stop" and isinstance(choice.get("stop_reason"), str):  # vLLM names the stop
        return "stop_sequence"
    return _REASONS.get(reason, reason) if reason else None


def broken_off(url: str) -> GenerationFailed:
    """The error for a text that has no end."""
    return GenerationFailed(f"The engine at {url} broke off before the text's end.")


def without_stop(pieces: Iterator[Piece], stops: Sequence[str]) -> Iterator[Piece]:
    """The pieces without the stop sequence that ends them, which TGI leaves in the text."""
    held = ""
    with closing(pieces):  # type: ignore[type-var]
        for piece in pieces:
            held += piece.text
            if piece.finish_reason:
                ends = [at for stop in stops if (at := held.find(stop)) >= 0]
                text = held[: min(ends)] if ends else held
                yield piece.model_copy(update={"text": text})
                return
            shown = len(held) - _beginning(held, stops)
            if shown:
                yield Piece(text=held[:shown])
                held = held[shown:]


def _beginning(text: str, stops: Sequence[str]) -> int:
    """How many characters at a text's end may belong to a stop sequence, at most."""
    for stop in stops:
        if stop in text:
            return len(text) - text.index(stop)
    longest = min(len(text), max((len(stop) for stop in stops), default=0))
    return next(
        (n for n in range(longest, 0, -1) if any(s.startswith(text[-n:]) for s in stops)), 0
    )


def _gather(calls: dict[int, dict[str, str]], deltas: Any) -> None:
    """Add what an event tells of tool calls to what earlier ones did."""
    for delta in deltas if isinstance(deltas, (list, tuple)) else [deltas]:
        call = calls.setdefault(int(delta.get("index") or 0), {"id": "", "name": "", "said": ""})
        function = delta.get("function") or {}
        call["id"] = call["id"] or delta.get("id") or ""
        call["name"] = call["name"] or function.get("name") or ""
        said = function.get("arguments") or ""
        call["said"] += said if isinstance(said, str) else json.dumps(said)


def _call(index: int, call: dict[str, str], url: str) -> ToolCall:
    try:
        arguments = json.loads(call["said"] or "{}")
    except ValueError:
        arguments = None
    if not call["name"] or not isinstance(arguments, dict):
        raise GenerationFailed(
            f"The engine at {url} called the tool '{call['name']}' with arguments that are no JSON "
            "object."
        )
    return ToolCall(id=call["id"] or f"call_{index}", name=call["name"], arguments=arguments)
