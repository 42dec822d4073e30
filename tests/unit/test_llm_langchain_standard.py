"""LangChain's own standard tests of a chat model, those that need no server."""

from typing import Any

from langchain_tests.unit_tests import ChatModelUnitTests

from llmasos.chat_model import ChatLLM
from llmasos.testing import ScriptedEngine


class TestChatLLM(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[ChatLLM]:
        return ChatLLM

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"backend": ScriptedEngine(lambda _: "Hello there")}
