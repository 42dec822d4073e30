"""LangChain's messages and tools as ours, and our pieces as LangChain's messages. Pure.

Used by `chat_model.py`.
"""

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import ToolCall as LangChainCall
from langchain_core.messages.tool import ToolCallChunk
from langchain_core.utils.function_calling import convert_to_openai_tool

from llmasos.errors import InvalidRequest
from llmasos.generation import Message, Piece, Role, ToolCall, ToolSpec

_ROLES: dict[str, Role] = {
    "system": "system",
    "human": "user",
    "ai": "assistant",
    "tool": "tool",
}
_TEXT = ("text", "tool_use", "tool_call", "reasoning", "thinking", "non_standard")
"""Blocks of a message that are text, are said elsewhere, or are not for the model."""


def as_message(message: BaseMessage) -> Message:
    """A message as ours. Raises InvalidRequest for one that the models do not know."""
    role = _ROLES.get(message.type.removesuffix("MessageChunk").lower())
    if role is None:
        raise InvalidRequest(f"Messages of type '{message.type}' are not supported.")
    for block in message.content if isinstance(message.content, list) else ():
        kind = "text" if isinstance(block, str) else block.get("type")
        if kind not in _TEXT:
            raise InvalidRequest(f"A message holds '{kind}'; these models read text alone.")
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    return Message(
        role=role,
        content=str(message.text),
        tool_calls=tuple(
            ToolCall(id=call["id"] or "", name=call["name"], arguments=call["args"])
            for call in calls
        ),
        tool_call_id=message.tool_call_id if isinstance(message, ToolMessage) else None,
    )


def as_tool(tool: Any) -> ToolSpec:
    """What LangChain takes for a tool, described as a model sees it."""
    function = convert_to_openai_tool(tool)["function"]
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    return ToolSpec(
        name=function["name"], description=function.get("description", ""), parameters=parameters
    )


def whole_message(pieces: Sequence[Piece], model: str) -> AIMessage:
    """A whole answer. model: its name."""
    last = pieces[-1]
    return AIMessage(
        content="".join(piece.text for piece in pieces),
        tool_calls=[
            LangChainCall(id=call.id, name=call.name, args=call.arguments, type="tool_call")
            for call in last.tool_calls
        ],
        usage_metadata=_usage(last),
        response_metadata=_facts(last, model),
    )


def as_chunk(piece: Piece, model: str) -> AIMessageChunk:
    """A piece of an answer."""
    if piece.finish_reason is None:
        return AIMessageChunk(content=piece.text)
    return AIMessageChunk(
        content=piece.text,
        tool_call_chunks=[
            ToolCallChunk(
                id=call.id,
                name=call.name,
                args=json.dumps(call.arguments, ensure_ascii=False),
                index=number,
                type="tool_call_chunk",
            )
            for number, call in enumerate(piece.tool_calls)
        ],
        usage_metadata=_usage(piece),
        response_metadata=_facts(piece, model),
        chunk_position="last",
    )


def _facts(last: Piece, model: str) -> dict[str, Any]:
    return {
        "finish_reason": last.finish_reason,
        "model_name": model,
        "model_provider": "llmasos",
    }


def _usage(piece: Piece) -> UsageMetadata:
    return UsageMetadata(
        input_tokens=piece.prompt_tokens,
        output_tokens=piece.completion_tokens,
        total_tokens=piece.prompt_tokens + piece.completion_tokens,
    )
