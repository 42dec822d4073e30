import subprocess
import sys

import pytest

from llmasos import Agent, Turn
from llmasos.errors import InvalidRequest, ToolDefinitionError
from llmasos.tools import as_tool, tool


def inline(order: str, days: int = 3) -> str:
    """Look an order up. order: the order's number; days: how far back to look."""
    return f"{order} {days!r}"


def google(order: str, days: int = 3) -> str:
    """Look an order up.

    Args:
        order (str): the order's number
        days: how far back
            to look

    Returns:
        order: something else
    """
    return f"{order} {days!r}"


def numpy_style(order: str, days: int = 3) -> str:
    """Look an order up.

    Parameters
    ----------
    order : str
        the order's number
    days : int, optional
        how far back to look
    """
    return f"{order} {days!r}"


def sphinx(order: str, days: int = 3) -> str:
    """Look an order up.

    :param str order: the order's number
    :param days: how far back to look
    :returns: the order
    """
    return f"{order} {days!r}"


@pytest.mark.parametrize("function", [inline, google, numpy_style, sphinx])
def test_the_schema_comes_from_signature_and_docstring(function):
    made = as_tool(function)

    assert made.description == "Look an order up."
    assert made.parameters["properties"] == {
        "order": {"description": "the order's number", "type": "string"},
        "days": {"description": "how far back to look", "type": "integer", "default": 3},
    }
    assert made.parameters["required"] == ["order"]


def test_arguments_are_converted_and_checked():
    made = as_tool(inline)

    assert made.call({"order": "A-1", "days": "7"}) == "A-1 7"
    with pytest.raises(InvalidRequest, match=r"'inline', argument 'days'"):
        made.call({"order": "A-1", "days": "soon"})
    with pytest.raises(InvalidRequest, match="argument 'colour'"):
        made.call({"order": "A-1", "colour": "red"})


def test_a_result_that_is_no_text_becomes_json():
    @tool
    def lookup(city: str) -> dict[str, object]:
        """Look up. city: its name."""
        return {"city": city, "open": True}

    assert lookup.call({"city": "Köln"}) == '{"city":"Köln","open":true}'


def test_names_of_parameters_that_pydantic_uses_itself_work():
    @tool
    def strange(schema: str, copy: int, title: str) -> str:
        """Do it. schema: one; copy: two; title: three."""
        return f"{schema} {copy} {title}"

    assert strange.call({"schema": "a", "copy": 1, "title": "b"}) == "a 1 b"
    assert sorted(strange.parameters["properties"]) == ["copy", "schema", "title"]


def untyped(order) -> str:  # type: ignore[no-untyped-def]
    """Look up. order: its number."""
    return str(order)


def undocumented(order: str) -> str:
    """Look up an order."""
    return order


def starred(*orders: str) -> str:
    """Look up. orders: their numbers."""
    return str(orders)


def nameless() -> str:
    return ""


async def waiting(order: str) -> str:
    """Look up. order: its number."""
    return order


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (untyped, "parameter 'order' has no type: write `order: str`"),
        (undocumented, "parameter 'order' is not described: write `order: what it is`"),
        (starred, "parameter 'orders' must be an ordinary one"),
        (nameless, "no docstring"),
        (waiting, "plain function"),
        (lambda x: x, "write it as a function"),
    ],
)
def test_what_is_missing_fails_when_the_agent_is_built(function, what):
    with pytest.raises(ToolDefinitionError) as caught:
        Agent(name="clerk", tools=[function])

    assert what in caught.value.message()


def test_a_turn_is_given_by_type_and_is_not_in_the_schema():
    @tool
    def who(turn: Turn, word: str) -> str:
        """Say who asks. word: a greeting."""
        return f"{word} {turn}"

    assert list(who.parameters["properties"]) == ["word"]
    assert who.bound("the turn").call({"word": "Hi"}) == "Hi the turn"  # type: ignore[arg-type]


def test_a_turn_may_be_named_as_text():
    def who(turn: "Turn") -> str:
        """Say who asks."""
        return f"{turn}"

    assert as_tool(who).takes_turn


def test_a_decorated_function_can_still_be_called():
    made = tool(inline)

    assert made("A-1", days=2) == "A-1 2"
    assert not made.effect
    assert tool(effect=True)(inline).effect


def test_a_langchain_tool_keeps_its_own_schema_and_checks():
    from langchain_core.tools import tool as langchain_tool

    @langchain_tool
    def multiply(a: int, b: int = 2) -> int:
        """Multiply two numbers."""
        return a * b

    made = as_tool(multiply)

    assert made.name == "multiply"
    assert made.parameters["required"] == ["a"]
    assert made.call({"a": 21}) == "42"


def test_tools_do_not_load_langchain():
    code = "import sys, llmasos.tools, llmasos.agent; sys.exit('langchain_core' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
