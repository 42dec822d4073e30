"""The same model as a LangChain chat model, for whoever builds with LangChain.

Stands on a `Backend`, as `LLM` does. It generates, streams, stops at sequences and tells its use;
it does not call tools, and so does not offer to bind any.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict

from llmasos.errors import InvalidRequest
from llmasos.generation import Backend, Message, Options, Piece, Role

_ROLES: dict[str, Role] = {"system": "system", "human": "user", "ai": "assistant"}


class ChatLLM(BaseChatModel):
    """A LangChain chat model. `ChatLLM(backend=llm.backend, options=llm.options)`."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    backend: Any
    """The `Backend` that generates."""
    options: Options = Options()
    """How, unless a call says otherwise: its keywords are the fields of `Options`."""

    @property
    def _llm_type(self) -> str:
        return "llmasos"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        pieces = list(self._pieces(messages, stop, kwargs))
        message = AIMessage(
            content="".join(piece.text for piece in pieces),
            usage_metadata=_usage(pieces[-1]),
            response_metadata={"finish_reason": pieces[-1].finish_reason},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with closing(self._pieces(messages, stop, kwargs)) as pieces:  # type: ignore[type-var]
            for piece in pieces:
                chunk = ChatGenerationChunk(message=_chunk(piece))
                if run_manager and piece.text:
                    run_manager.on_llm_new_token(piece.text, chunk=chunk)
                yield chunk

    def _pieces(
        self, messages: list[BaseMessage], stop: list[str] | None, sampling: dict[str, Any]
    ) -> Iterator[Piece]:
        """The backend's pieces for LangChain's messages."""
        named = {**sampling, "stop": stop} if stop else sampling
        options = Options.model_validate({**self.options.model_dump(), **named})
        backend: Backend = self.backend
        return backend.chat([as_message(message) for message in messages], options)


def as_message(message: BaseMessage) -> Message:
    """LangChain's message as ours. Raises InvalidRequest for those that the models do not know."""
    role = _ROLES.get(message.type)
    if role is None:
        raise InvalidRequest(f"Messages of type '{message.type}' are not supported.")
    return Message(role=role, content=message.text)


def _chunk(piece: Piece) -> AIMessageChunk:
    if piece.finish_reason is None:
        return AIMessageChunk(content=piece.text)
    return AIMessageChunk(
        content=piece.text,
        usage_metadata=_usage(piece),
        response_metadata={"finish_reason": piece.finish_reason},
    )


def _usage(piece: Piece) -> UsageMetadata:
    return UsageMetadata(
        input_tokens=piece.prompt_tokens,
        output_tokens=piece.completion_tokens,
        total_tokens=piece.prompt_tokens + piece.completion_tokens,
    )
