"""Reading a call while it is being written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmasos.engine.tool_calls import CallReader

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(
    arguments=st.dictionaries(st.text(max_size=5), VALUES, max_size=3),
    size=st.integers(1, 7),
    indent=st.sampled_from([None, 2]),
)
def test_whatever_the_pieces_are_the_arguments_come_out_whole(
    arguments: dict[str, object], size: int, indent: int | None
) -> None:
    call = {"function": {"name": "get.it-now", "parameters": arguments}}
    text = json.dumps(call, indent=indent, ensure_ascii=False) + "\n"
    reader = CallReader()

    read = "".join(reader.feed(text[at : at + size]) for at in range(0, len(text), size))

    assert (reader.name, reader.whole) == ("get.it-now", True)
    assert json.loads(read) == arguments


def test_the_name_is_known_before_the_arguments() -> None:
    reader = CallReader()

    assert reader.feed('{"function": {"name": "no') == ""
    assert reader.name is None
    assert reader.feed('_tool"') == ""
    assert reader.name == "no_tool"


@pytest.mark.parametrize("text", ['{"a": "}', '{"a": "\\"}', '{"a": [{}', '{"a": {"b": 1}'])
def test_a_call_that_is_cut_short_is_not_whole(text: str) -> None:
    reader = CallReader()

    assert reader.feed('{"function": {"name": "f", "parameters": ' + text) == text
    assert not reader.whole
