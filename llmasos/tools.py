"""Tools: typed, documented functions that an agent may call.

The signature becomes the JSON schema, the docstring the description; what is missing there fails
when the tool is built, not when it runs. How a docstring is read is in `docstrings.py`; when a tool
is called is decided in `flow.py`, and that one with effects is called once only in `Turn.call`.
Start reading at `tool` and `Tool`.
"""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic_core import to_json

from llmasos.docstrings import describe
from llmasos.errors import InvalidRequest, ToolDefinitionError

TURN = ("llmasos.turn", "Turn")
"""Module and name of the type that a tool's first parameter may ask for."""


@dataclass(frozen=True)
class Tool:
    """A function that an agent may call by name.

    name: what the model calls it.
    description: what it does, for the model.
    parameters: JSON Schema of its arguments.
    run: the function; it is called with keyword arguments.
    effect: whether calling it changes anything outside; such a tool is called at most once a job.
    approvers: who must grant each call before it is made (`asker`, principals, `team:…`,
    `channel:…`, `group:…`); none: it is called at once.
    arguments: checks and converts arguments; None: `run` does so itself.
    takes_turn: whether `run` wants the `Turn` as its first argument.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    run: Callable[..., Any]
    effect: bool = False
    approvers: tuple[str, ...] = ()
    arguments: type[BaseModel] | None = None
    takes_turn: bool = False
    turn: object = None  # a Turn knows its agent and an agent its tools, so this end stays blind

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The plain function: a decorated function stays usable as one."""
        return self.run(*args, **kwargs)

    def bound(self, turn: object) -> "Tool":
        """This tool within a `Turn`, for functions that ask for one."""
        return replace(self, turn=turn) if self.takes_turn else self

    def call(self, arguments: Mapping[str, Any]) -> str:
        """Check the arguments, run the function, and give its result as text.

        Raises InvalidRequest when the arguments do not fit the schema.
        """
        checked = self.checked(arguments)
        result = self.run(self.turn, **checked) if self.takes_turn else self.run(**checked)
        return result if isinstance(result, str) else to_json(result, fallback=str).decode()

    def checked(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments, checked and converted to the function's types."""
        if self.arguments is None:
            return dict(arguments)
        try:
            model = self.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "arguments"
            raise InvalidRequest(
                f"Tool '{self.name}', argument '{where}': {first['msg']}"
            ) from None
        return {
            str(info.alias): getattr(model, field)
            for field, info in type(model).model_fields.items()
        }


@overload
def tool(function: Callable[..., Any]) -> Tool: ...
@overload
def tool(
    *, effect: bool = False, approvers: Sequence[str] = ()
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    *,
    effect: bool = False,
    approvers: Sequence[str] = (),
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool of a function: `@tool`, or `@tool(effect=True)` if it changes anything.

    approvers: who must grant each call first; a tool that needs this has an effect.
    Raises ToolDefinitionError for a parameter without a type or a description.
    """
    if function is not None:
        return _of_function(function)
    if isinstance(approvers, str):
        raise ToolDefinitionError("tool", "approvers must be a list, not a text")
    changes: dict[str, Any] = {"effect": effect or bool(approvers), "approvers": tuple(approvers)}
    return lambda each: replace(_of_function(each), **changes)


def as_tool(each: Any) -> Tool:
    """A tool of whatever can be one: a `Tool`, a typed function, or a LangChain tool.

    Raises ToolDefinitionError when it cannot be one.
    """
    if isinstance(each, Tool):
        return each
    if all(hasattr(each, word) for word in ("name", "description", "args_schema", "invoke")):
        return _of_langchain(each)
    if callable(each):
        return _of_function(each)
    raise ToolDefinitionError(repr(each), "a tool is a function, a Tool or a LangChain tool")


def _of_function(function: Callable[..., Any]) -> Tool:
    name = getattr(function, "__name__", type(function).__name__)
    if name == "<lambda>":
        raise ToolDefinitionError(name, "a tool needs a name: write it as a function with `def`")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise ToolDefinitionError(
            name, "must be a plain function that returns its result: no `async def`, no `yield`"
        )
    parameters = list(inspect.signature(function).parameters.values())
    takes_turn = bool(parameters) and _is_turn(parameters[0].annotation)
    described = describe(function.__doc__ or "", [p.name for p in parameters])
    if not described.summary:
        raise ToolDefinitionError(name, "has no docstring: write in a line what it does")
    hints = _hints(name, function, skip=parameters[0].name if takes_turn else None)
    fields: dict[str, Any] = {
        f"argument_{number}": _field(name, parameter, hints, described.parameters)
        for number, parameter in enumerate(parameters[1:] if takes_turn else parameters)
    }
    try:
        model = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
        schema = _plain_schema(model.model_json_schema(by_alias=True))
    except PydanticUserError as error:
        raise ToolDefinitionError(
            name, f"its types make no JSON schema: {error.message}"
        ) from error
    return Tool(
        name=name,
        description=described.summary,
        parameters=schema,
        run=function,
        arguments=model,
        takes_turn=takes_turn,
    )


def _is_turn(annotation: Any) -> bool:
    """Whether an annotation means `Turn`, also as a text, without importing the type."""
    if isinstance(annotation, str):
        return annotation.strip("'\"").rpartition(".")[2] == TURN[1]
    return (getattr(annotation, "__module__", ""), getattr(annotation, "__name__", "")) == TURN


def _hints(name: str, function: Callable[..., Any], skip: str | None) -> dict[str, Any]:
    """The parameters' types, annotations given as text resolved."""
    target = function if inspect.isroutine(function) else type(function).__call__
    try:
        return get_type_hints(target, localns={TURN[1]: object}, include_extras=True)
    except (NameError, TypeError) as error:
        raise ToolDefinitionError(name, f"has a type that cannot be resolved: {error}") from error


def _field(
    tool_name: str, parameter: inspect.Parameter, hints: dict[str, Any], documented: dict[str, str]
) -> tuple[Any, Any]:
    """A parameter as a field of the model that checks it."""
    name = parameter.name
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise ToolDefinitionError(
            tool_name, f"parameter '{name}' must be an ordinary one: name each argument"
        )
    if name not in hints:
        raise ToolDefinitionError(
            tool_name, f"parameter '{name}' has no type: write `{name}: str` (or what it is)"
        )
    extras = getattr(hints[name], "__metadata__", ())
    own = next((e.description for e in extras if isinstance(e, FieldInfo) and e.description), None)
    text = own or documented.get(name)
    if not text:
        raise ToolDefinitionError(
            tool_name,
            f"parameter '{name}' is not described: write `{name}: what it is` in the docstring",
        )
    default = ... if parameter.default is parameter.empty else parameter.default
    return hints[name], Field(default, alias=name, description=text)


def _of_langchain(each: Any) -> Tool:
    """A tool of a LangChain tool, whose own schema and checks hold."""
    try:
        schema = each.tool_call_schema
        plain = schema if isinstance(schema, dict) else schema.model_json_schema()
    except (AttributeError, PydanticUserError) as error:
        raise ToolDefinitionError(str(each.name), f"offers no argument schema: {error}") from error

    def run(**arguments: Any) -> Any:
        return each.invoke(arguments)

    return Tool(
        name=each.name,
        description=each.description,
        parameters=_plain_schema({k: v for k, v in plain.items() if k != "description"}),
        run=run,
    )


def _plain_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without titles, which cost tokens and say nothing; properties named so stay."""
    plain: dict[str, Any] = json.loads(json.dumps(schema))

    def strip(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("title"), str):
                del node["title"]
            for word, value in node.items():
                for each in value.values() if word in ("properties", "$defs") else (value,):
                    strip(each)
        elif isinstance(node, list):
            for each in node:
                strip(each)

    strip(plain)
    plain.setdefault("properties", {})
    return plain
