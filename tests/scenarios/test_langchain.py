"""LangChain's own standard tests of a chat model, over the embedded model."""

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests

from llmasos.chat_model import ChatLLM
from llmasos.tgi import TGIBackend


class TestChatLLM(ChatModelIntegrationTests):
    @pytest.fixture(autouse=True)
    def _served(self, engine: Any) -> None:
        self.backend = TGIBackend(engine.url, key=engine.key)

    @property
    def chat_model_class(self) -> type[ChatLLM]:
        return ChatLLM

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"backend": self.backend, "max_tokens": 40}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_model_override(self) -> bool:
        return False

    @pytest.mark.xfail(reason="whether a tool is called unforced depends on the model's wits")
    @pytest.mark.parametrize("model", [{}, {"output_version": "v1"}], indirect=True)
    def test_agent_loop(self, model: BaseChatModel) -> None:
        super().test_agent_loop(model)

    @pytest.mark.xfail(reason="a model of this size seldom copies a Chinese name")
    def test_unicode_tool_call_integration(self, model: BaseChatModel) -> None:  # type: ignore[override]
        super().test_unicode_tool_call_integration(model)
