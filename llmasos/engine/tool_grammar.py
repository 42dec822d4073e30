"""Which function a model may call, and the JSON Schema that holds its call to that.

As TGI does it: one schema over all functions, and where the model is free to choose one more branch
that stands for "none of them". Pure; used by `chats.py`. `tool_calls.py` reads what comes of it.
Start reading at `tool_use`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmasos.engine.chat_schemas import Function, NamedTool, Tool
from llmasos.engine.refusals import BadTools

NO_TOOL = "no_tool"
MAX_TOOLS = 128
"""As many as OpenAI's API takes."""
MAX_PARTS = 4000
"""Values in one function's schema: what a grammar is made of in a moment."""
MAX_DEPTH = 48
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_WAYS = {
    "whitespace_flexible": False,  # no line breaks and indents, which cost a token each
    "item_separator": ", ",
    "key_separator": ": ",
    "coerce_one_of": True,  # as `anyOf`: the function itself checks what it is given
}
"""How llguidance is to take our schema."""
_NONE_OF_THEM = Function(name=NO_TOOL, description="Answer in words: no function is of use.")
_MAPS = ("properties", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMAS = ("items", "additionalProperties")
_ADDRESSES = ("$id", "$schema")


@dataclass(frozen=True)
class ToolUse:
    """What a model may call in one answer. functions: as OpenAI describes them to a model."""

    functions: tuple[dict[str, Any], ...]
    schema: dict[str, Any]


def tool_use(tools: Sequence[Tool], choice: str | NamedTool) -> ToolUse | None:
    """What may be called: None when the answer is to be in words.

    choice: `auto`, `none`, `required`, or one function, also by its name alone. Raises BadTools.
    """
    functions = [tool.function for tool in tools]
    _check(tools)
    if choice == "none" or (choice == "auto" and not functions):
        return None
    if choice == "auto":
        functions = [*functions, _NONE_OF_THEM]
    elif choice != "required":
        name = choice if isinstance(choice, str) else choice.function.name
        functions = [function for function in functions if function.name == name]
        if not functions:
            known = ", ".join(tool.function.name for tool in tools) or "none"
            raise BadTools(f"there is no function '{name[:64]}' to choose. Known: {known}")
    elif not functions:
        raise BadTools("`tool_choice` is `required`, and there are no `tools`")
    described = tuple(
        {"type": "function", "function": {**_plain(function), "parameters": _parameters(function)}}
        for function in functions
    )
    return ToolUse(described, _schema(functions))


def _check(tools: Sequence[Tool]) -> None:
    """Refuse functions that cannot be told apart or cannot be called."""
    if len(tools) > MAX_TOOLS:
        raise BadTools(f"there are {len(tools)} `tools`; {MAX_TOOLS} is the most")
    seen: set[str] = set()
    for tool in tools:
        name = tool.function.name
        if tool.type != "function":
            raise BadTools(f"tools of type '{tool.type[:64]}' are not supported, only functions")
        if not _NAME.fullmatch(name):
            allowed = "1 to 64 letters, digits, dots, dashes and underscores"
            raise BadTools(f"a function cannot be named '{name[:64]}': a name has {allowed}")
        if name == NO_TOOL or name in seen:
            reason = "is taken: it stands for no function" if name == NO_TOOL else "is there twice"
            raise BadTools(f"the function name '{name}' {reason}")
        seen.add(name)


def _plain(function: Function) -> dict[str, Any]:
    return {"name": function.name, "description": function.description}


def _parameters(function: Function) -> dict[str, Any]:
    """The schema of a function's arguments, always an object. Raises BadTools."""
    given = function.arguments if function.parameters is None else function.parameters
    parameters = {} if given is None else given
    if not isinstance(parameters, dict) or parameters.get("type", "object") != "object":
        reason = "must be a JSON Schema of type object"
        raise BadTools(f"the parameters of '{function.name}' {reason}")
    if not _within_measure(parameters):
        reason = f"are larger than {MAX_PARTS} values, or deeper than {MAX_DEPTH}"
        raise BadTools(f"the parameters of '{function.name}' {reason}")
    return {"type": "object", "properties": {}, **parameters}


def _within_measure(schema: dict[str, Any]) -> bool:
    """Whether a schema is small enough to work with; found out without recursion."""
    waiting: list[tuple[Any, int]] = [(schema, 1)]
    parts = 0
    while waiting:
        value, depth = waiting.pop()
        parts += 1
        if parts > MAX_PARTS or depth > MAX_DEPTH:
            return False
        inside = value.values() if isinstance(value, dict) else value
        if isinstance(value, (dict, list)):
            waiting += [(part, depth + 1) for part in inside]
    return True


def _schema(functions: Sequence[Function]) -> dict[str, Any]:
    """The schema of a call: `{"function": {"name": …, "parameters": …}}`."""
    branches = [
        _closed(
            {
                "name": {"const": function.name},
                "parameters": {"$ref": f"#/$defs/{function.name}"},
            }
        )
        for function in functions
    ]
    parameters = {
        function.name: _moved(_parameters(function), f"#/$defs/{function.name}")
        for function in functions
    }
    return {
        **_closed({"function": {"anyOf": branches}}),
        "$defs": parameters,
        "x-guidance": _WAYS,
    }


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    """An object that has these properties, and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _moved(schema: Any, place: str) -> Any:
    """A schema that stands at a place inside another: its references follow.

    Objects that say nothing of further properties get none: models like to invent them.
    """
    if not isinstance(schema, dict):
        return schema
    moved = {keyword: value for keyword, value in schema.items() if keyword not in _ADDRESSES}
    for keyword, value in schema.items():
        if keyword == "$ref" and isinstance(value, str) and value.startswith("#"):
            moved[keyword] = place + value.removeprefix("#")
        elif keyword in _MAPS and isinstance(value, dict):
            moved[keyword] = {name: _moved(part, place) for name, part in value.items()}
        elif keyword in _LISTS and isinstance(value, list):
            moved[keyword] = [_moved(part, place) for part in value]
        elif keyword in _SCHEMAS:
            moved[keyword] = _moved(value, place)
    if "properties" in moved:
        moved.setdefault("additionalProperties", False)
    return moved
