"""The LangChain chat model over a scripted engine."""

import pytest
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage

from llmasos.chat_model import ChatLLM
from llmasos.errors import InvalidRequest
from llmasos.generation import Message, Options
from llmasos.testing import ScriptedEngine


def test_it_answers_and_tells_its_use() -> None:
    backend = ScriptedEngine(["Fine, thanks"])

    answer = ChatLLM(backend=backend).invoke(
        [SystemMessage("Be brief."), HumanMessage("How are you?")], temperature=0.5
    )

    assert answer.text == "Fine, thanks"
    assert answer.usage_metadata == {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    assert backend.calls[0].messages[0] == Message(role="system", content="Be brief.")
    assert backend.calls[0].options == Options(temperature=0.5)


def test_it_streams_and_stops() -> None:
    model = ChatLLM(backend=ScriptedEngine(["one two three"]))

    chunks = [chunk.text for chunk in model.stream("count", stop=["three"])]

    assert [chunk for chunk in chunks if chunk] == ["one", " two", " "]


def test_it_does_not_offer_what_it_cannot_do() -> None:
    model = ChatLLM(backend=ScriptedEngine(["x"]))

    with pytest.raises(NotImplementedError):
        model.bind_tools([])
    with pytest.raises(InvalidRequest, match="'tool'"):
        model.invoke([ToolMessage("x", tool_call_id="1")])
