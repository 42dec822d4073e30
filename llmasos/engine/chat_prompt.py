"""The prompt of a chat: messages as a chat template takes them, and the tools that go with them.

Between `chat_schemas.py` and the model's own template (`TextModel.render`). Templates know nothing
of our calls' form, so calls are written into the text of their messages, in the form in which the
model writes them; and where a template has no place for tools they follow the last message, as in
TGI.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from llmasos.engine.chat_schemas import ChatMessage, ToolCall
from llmasos.engine.refusals import BadTemplate, Invalid
from llmasos.engine.text_model import TextModel
from llmasos.engine.tool_grammar import ToolUse

_ROLE = re.compile(r"[A-Za-z_]{1,32}")
_NAME = re.compile(r"[\w .@-]{1,64}")
_ASK_FOR_A_CALL = (
    "Choose the function that serves best and write the call with its arguments as JSON: "
    '{"function": {"name": the function\'s name, "parameters": its arguments}}'
)


async def prompt_of(
    model: TextModel, messages: Sequence[ChatMessage], tools: ToolUse | None, tool_prompt: str
) -> str:
    """The prompt that asks for the next message.

    tool_prompt: how to ask for a call; empty for our own words. Raises Invalid or BadTemplate.
    """
    plain = [_plain(message) for message in messages]
    if tools is None or not plain:
        return await model.render(plain)
    asked = tool_prompt or _ASK_FOR_A_CALL
    try:
        return await model.render(_ending(plain, asked), tools.functions)
    except BadTemplate:  # it has no place for tools, or does not take the messages at all
        listed = "\n".join(json.dumps(each, ensure_ascii=False) for each in tools.functions)
        return await model.render(_ending(plain, f"{listed}\n\n{asked}"))


def _ending(messages: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """The messages, with a text added to the last one."""
    *before, last = messages
    return [*before, {**last, "content": f"{last['content']}\n\n{text}"}]


def _plain(message: ChatMessage) -> dict[str, Any]:
    """A message as templates take it: everything in its text."""
    if not _ROLE.fullmatch(message.role):
        raise Invalid(f"a message's `role` cannot be '{message.role[:64]}'")
    if message.content is None and not message.tool_calls:
        raise Invalid("a message must have `content` or `tool_calls`")
    parts = [_text(message), *(_call(call) for call in message.tool_calls)]
    plain = {"role": message.role, "content": "\n".join(part for part in parts if part)}
    if message.name is not None:
        if not _NAME.fullmatch(message.name):
            allowed = "1 to 64 letters, digits, spaces and any of _ . @ -"
            raise Invalid(f"a message's `name` has {allowed}")
        plain["name"] = message.name
    return plain


def _text(message: ChatMessage) -> str:
    """The content as one text."""
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    for part in message.content:
        if part.type != "text" or part.text is None:
            reason = "this model reads text only, send parts of the type 'text'"
            raise Invalid(f"a message has a part of the type '{part.type[:64]}': {reason}")
    return "".join(part.text or "" for part in message.content)


def _call(call: ToolCall) -> str:
    """A call that was made, as the model wrote it."""
    arguments = call.function.arguments
    if not isinstance(arguments, str):
        try:
            arguments = json.dumps(arguments or {}, ensure_ascii=False)
        except RecursionError:
            reason = "are nested too deeply"
            raise Invalid(f"the arguments of '{call.function.name[:64]}' {reason}") from None
    name = json.dumps(call.function.name, ensure_ascii=False)
    return f'{{"function": {{"name": {name}, "parameters": {arguments or "{}"}}}}}'
