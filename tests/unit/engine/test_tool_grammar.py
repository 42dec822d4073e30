"""The schema of a call, the choice of a function, and what cannot be one."""

from typing import Any

import pytest

from llmasos.engine.chat_schemas import NamedTool, Tool
from llmasos.engine.grammars import grammar_of
from llmasos.engine.refusals import BadTools
from llmasos.engine.schemas import Grammar
from llmasos.engine.tool_grammar import MAX_TOOLS, NO_TOOL, ToolUse, tool_use

CITY = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/City"}},
    "required": ["city"],
    "$defs": {"City": {"type": "object", "properties": {"name": {"type": "string"}}}},
}


def tool(name: str = "f", **function: Any) -> Tool:
    plain = {"type": "function", "function": {"name": name, **function}}
    return Tool.model_validate(plain)


def names(use: ToolUse | None) -> list[str]:
    assert use is not None
    branches = use.schema["properties"]["function"]["anyOf"]
    assert [each["function"]["name"] for each in use.functions] == [
        branch["properties"]["name"]["const"] for branch in branches
    ]
    return [branch["properties"]["name"]["const"] for branch in branches]


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"x": schema}}
    return schema


@pytest.mark.parametrize(
    ("choice", "offered"),
    [
        ("auto", ["f", "g", NO_TOOL]),
        ("required", ["f", "g"]),
        ("g", ["g"]),
        (NamedTool.model_validate({"function": {"name": "f"}}), ["f"]),
    ],
)
def test_the_choice_says_which_functions_are_offered(choice: Any, offered: list[str]) -> None:
    assert names(tool_use([tool("f"), tool("g")], choice)) == offered


@pytest.mark.parametrize(("tools", "choice"), [([tool()], "none"), ([], "auto"), ([], "none")])
def test_without_functions_the_answer_is_in_words(tools: list[Tool], choice: str) -> None:
    assert tool_use(tools, choice) is None


def test_references_follow_a_function_into_the_common_schema() -> None:
    use = tool_use([tool("at", parameters=CITY)], "required")

    assert use is not None
    moved = use.schema["$defs"]["at"]
    assert moved["properties"]["city"] == {"$ref": "#/$defs/at/$defs/City"}
    assert moved["$defs"]["City"]["additionalProperties"] is False
    assert grammar_of(Grammar(type="json", value=use.schema)), "the engine takes it as a grammar"


def test_tgis_word_for_parameters_is_understood() -> None:
    assert tool_use([tool(arguments=CITY)], "f") == tool_use([tool(parameters=CITY)], "f")


def test_a_function_may_take_nothing() -> None:
    use = tool_use([tool(parameters={})], "required")

    assert use is not None
    assert use.functions[0]["function"]["parameters"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("tools", "choice", "said"),
    [
        ([tool("f"), tool("g")], "h", "no function 'h' to choose. Known: f, g"),
        ([], "h", "no function 'h' to choose. Known: none"),
        ([], "required", "there are no `tools`"),
        ([tool("f"), tool("f")], "auto", "'f' is there twice"),
        ([tool(NO_TOOL)], "auto", "is taken"),
        ([tool("a b")], "auto", "cannot be named 'a b'"),
        ([tool("")], "auto", "cannot be named ''"),
        ([tool("x" * 65)], "auto", "cannot be named"),
        ([tool("<|im_end|>")], "none", "cannot be named"),
        ([Tool.model_validate({"type": "web", "function": {"name": "f"}})], "auto", "type 'web'"),
        ([tool(f"f{n}") for n in range(MAX_TOOLS + 1)], "auto", "129 `tools`"),
        ([tool(parameters="{}")], "auto", "of type object"),
        ([tool(parameters={"type": "array"})], "auto", "of type object"),
        ([tool(parameters=nested(200))], "auto", "larger than"),
        ([tool(parameters=nested(900))], "auto", "larger than"),
        ([tool(parameters={"enum": list(range(5000))})], "auto", "larger than"),
    ],
)
def test_tools_that_cannot_be_followed_are_refused(
    tools: list[Tool], choice: str, said: str
) -> None:
    with pytest.raises(BadTools, match=said):
        tool_use(tools, choice)
