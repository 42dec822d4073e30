"""LLM: a language model as people use it. `LLM.from_pretrained(NAME).generate_text(…)`.

Stands on a `Backend` (generation.py), which does the work; adds defaults, counting, answers as
values of a type (structured.py) and many requests at once (batches.py). What is behind a name is
found in `pretrained.py`. Light: clients and engines are loaded when they are needed.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar, Unpack, overload

import structlog
from pydantic import TypeAdapter, ValidationError

from llmasos.batches import answers
from llmasos.errors import (
    AnswerTooSlow,
    EngineError,
    EngineUnavailable,
    GenerationFailed,
    InvalidRequest,
    nearest,
)
from llmasos.generation import Backend, Message, ModelInfo, Options, Piece, Sampling, Usage
from llmasos.structured import Answer, Form, continued

log = structlog.get_logger()

AnyMessage = Message | Mapping[str, Any] | tuple[str, str]
"""A message, `{"role": …, "content": …}`, or `("user", "Hello")`."""
T = TypeVar("T")
M = TypeVar("M", bound=AnyMessage)
Prompts = list[str] | tuple[str, ...]
Begin = Callable[[Options], Iterator[Piece]]


class LLM:
    """A language model.

    backend: who generates. options: how, unless a call says otherwise. usage: where prompt and
    completion tokens are added up.
    """

    def __init__(
        self, backend: Backend, options: Options | None = None, usage: Usage | None = None
    ) -> None:
        self.backend, self.options, self.usage = backend, options or Options(), usage

    @classmethod
    def from_pretrained(
        cls, model: str, *, key: str | None = None, config: Path | None = None
    ) -> "LLM":
        """A model by its name in the library, by its file, or by the address of a server.

        Where the servers of this home serve the model they are used. Otherwise one engine is
        started that all programs of this home share; it ends when it has been idle for
        `engine.idle_seconds`, and is started again by the next question.
        key: the bearer token of the server at an address, else `llm.api_key`. config: the
        `llmasos.toml` to go by.
        Raises SettingsError, UnknownModel, ModelMissing, ModelError, HomeNotWritable or an
        EngineError.
        """
        from llmasos.pretrained import backend_of  # late: `import llmasos` stays light

        return cls(backend_of(model, key=key, config=config))

    @overload
    def generate_text(
        self, prompt: str, *, max_length: int | None = None, **sampling: Unpack[Sampling]
    ) -> str: ...
    @overload
    def generate_text(
        self,
        prompt: str,
        *,
        schema: type[T] | TypeAdapter[T],
        max_length: int | None = None,
        **sampling: Unpack[Sampling],
    ) -> T: ...
    @overload
    def generate_text(
        self, prompt: Prompts, *, max_length: int | None = None, **sampling: Unpack[Sampling]
    ) -> list[str]: ...
    @overload
    def generate_text(
        self,
        prompt: Prompts,
        *,
        schema: type[T] | TypeAdapter[T],
        max_length: int | None = None,
        **sampling: Unpack[Sampling],
    ) -> list[T]: ...
    def generate_text(
        self,
        prompt: str | Prompts,
        *,
        schema: Any = None,
        max_length: int | None = None,
        **sampling: Unpack[Sampling],
    ) -> Any:
        """The text that goes on from a prompt, without the prompt; of a list of prompts, all texts.

        schema: a Pydantic model, or another type that Pydantic knows; the answer is then a value
        of it. max_length: tokens of prompt and text together; `max_new_tokens` counts the text
        alone. sampling: see `Options`.
        Raises InvalidRequest, SchemaImpossible or an EngineError; for a list, BatchFailed.
        """
        options, form = self._options(sampling, schema), Form(schema) if schema else None
        if max_length is not None and "max_new_tokens" in sampling:
            raise InvalidRequest("Give max_length or max_new_tokens, not both.")

        def whole(llm: LLM, each: str) -> Any:
            return llm._generated(each, options, max_length, form)

        return whole(self, prompt) if isinstance(prompt, str) else self._all(prompt, whole)

    def stream_text(
        self, prompt: str, *, max_length: int | None = None, **sampling: Unpack[Sampling]
    ) -> Generator[str, None, None]:
        """The same, piece by piece. Closing the iterator stops the model."""
        options = self._within(self._options(sampling), prompt, max_length)
        return self._texts(prompt, options, lambda own: self.backend.generate(prompt, own))

    @overload
    def chat(self, messages: Sequence[AnyMessage], **sampling: Unpack[Sampling]) -> str: ...
    @overload
    def chat(
        self,
        messages: Sequence[AnyMessage],
        *,
        schema: type[T] | TypeAdapter[T],
        **sampling: Unpack[Sampling],
    ) -> T: ...
    @overload
    def chat(self, messages: Sequence[list[M]], **sampling: Unpack[Sampling]) -> list[str]: ...
    @overload
    def chat(
        self,
        messages: Sequence[list[M]],
        *,
        schema: type[T] | TypeAdapter[T],
        **sampling: Unpack[Sampling],
    ) -> list[T]: ...
    def chat(
        self,
        messages: Sequence[Any],
        *,
        schema: Any = None,
        **sampling: Unpack[Sampling],
    ) -> Any:
        """The answer to a conversation; to a list of conversations, all answers.

        schema: a Pydantic model, or another type that Pydantic knows; the answer is then a value
        of it. Raises InvalidRequest, SchemaImpossible or an EngineError; for a list, BatchFailed.
        """
        options, form = self._options(sampling, schema), Form(schema) if schema else None

        def whole(llm: LLM, each: Sequence[AnyMessage]) -> Any:
            return llm._chatted(as_messages(each), options, form)

        many = bool(messages) and isinstance(messages[0], list)
        return self._all(messages, whole) if many else whole(self, messages)

    def stream_chat(
        self, messages: Sequence[AnyMessage], **sampling: Unpack[Sampling]
    ) -> Generator[str, None, None]:
        """The same, piece by piece. Closing the iterator stops the model."""
        conversation, options = as_messages(messages), self._options(sampling)
        said = _text_of(conversation)
        return self._texts(said, options, lambda own: self.backend.chat(conversation, own))

    def reply(self, messages: Sequence[AnyMessage], **sampling: Unpack[Sampling]) -> Message:
        """The answer to a conversation as a message, with the tools that the model calls.

        Add it to the conversation, and a `tool` message for each call. Raises as `chat` does.
        """
        conversation, options = as_messages(messages), self._options(sampling, None, tools=True)
        pieces = list(
            self._pieces(
                _text_of(conversation), options, lambda own: self.backend.chat(conversation, own)
            )
        )
        calls = tuple(call for piece in pieces for call in piece.tool_calls)
        text = "".join(piece.text for piece in pieces)
        return Message(role="assistant", content=text, tool_calls=calls)

    def count_tokens(self, text: str) -> int:
        """The number of tokens that a text has for this model."""
        return self.backend.count_tokens(text)

    def info(self) -> ModelInfo:
        """The model that is served and its limits."""
        return self.backend.info()

    def metered(self, usage: Usage) -> "LLM":
        """The same model, its use added up in `usage`."""
        return LLM(self.backend, self.options, usage)

    def with_options(self, options: Options) -> "LLM":
        """The same model with other defaults."""
        return LLM(self.backend, options, self.usage)

    def _generated(
        self, prompt: str, options: Options, max_length: int | None, form: Form[Any] | None
    ) -> Any:
        """The text that goes on from one prompt, or the value that it holds."""

        def ask(turns: tuple[str, ...], own: Options) -> Answer:
            whole = "\n\n".join((prompt, *turns)) + "\n" if turns else prompt
            return self._answer(whole, own, lambda last: self.backend.generate(whole, last))

        if form is None:
            return ask((), self._within(options, prompt, max_length)).text
        shown = f"{prompt}\n\n{form.shape.instruction}\n" if prompt else prompt
        return form.filled(ask, self._within(options, shown, max_length))

    def _chatted(
        self, conversation: list[Message], options: Options, form: Form[Any] | None
    ) -> Any:
        """The answer to one conversation, or the value that it holds."""

        def ask(turns: tuple[str, ...], own: Options) -> Answer:
            whole = continued(conversation, turns)
            return self._answer(_text_of(whole), own, lambda last: self.backend.chat(whole, last))

        return form.filled(ask, options) if form else ask((), options).text

    def _all(self, requests: Sequence[Any], whole: Callable[["LLM", Any], Any]) -> list[Any]:
        """The answers to many requests, at the same time; what they use is added up at the end."""
        used = [Usage() for _ in requests]
        numbered = list(enumerate(requests))
        try:
            return answers(numbered, lambda each: whole(self.metered(used[each[0]]), each[1]))
        finally:
            for each in used:
                self._use(each.prompt_tokens, each.completion_tokens, each.first_token_ms)

    def _options(self, sampling: Sampling, schema: Any = None, *, tools: bool = False) -> Options:
        """The options of a call. tools: whether it can tell of the tools that the model calls."""
        try:
            options = self.options.merged(sampling)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            if first["type"] == "extra_forbidden":
                raise InvalidRequest(
                    f"There is no option '{name}'.{nearest(name, tuple(Options.model_fields))}"
                ) from None
            raise InvalidRequest(f"Option {name}: {first['msg']}.") from None
        if options.tools and not tools:
            raise InvalidRequest("This gives text alone: use `reply` where the model has tools.")
        if options.json_schema and (schema is not None or options.tools):
            raise InvalidRequest("Give one of schema, json_schema and tools, not several.")
        return options

    def _within(self, options: Options, prompt: str, max_length: int | None) -> Options:
        """The options with an answer that ends at `max_length`."""
        if not prompt:
            raise InvalidRequest("The prompt is empty.")
        if max_length is None:
            return options
        room = max_length - self.count_tokens(prompt)
        if room < 1:
            raise InvalidRequest(
                f"The prompt has {max_length - room} tokens, max_length is {max_length}: there is "
                "no room for an answer. Give a larger max_length, or max_new_tokens."
            )
        return options.model_copy(update={"max_new_tokens": room})

    def _answer(self, prompt: str, options: Options, begin: Begin) -> Answer:
        """A whole answer."""
        pieces = list(self._pieces(prompt, options, begin))
        cut = bool(pieces) and pieces[-1].finish_reason == "length"
        return Answer("".join(piece.text for piece in pieces), cut)

    def _texts(self, prompt: str, options: Options, begin: Begin) -> Generator[str, None, None]:
        """The texts of an answer."""
        with closing(self._pieces(prompt, options, begin)) as pieces:
            for piece in pieces:
                if piece.text:
                    yield piece.text

    def _pieces(self, prompt: str, options: Options, begin: Begin) -> Generator[Piece, None, None]:
        """The pieces of an answer, counted; also of one that is stopped before its end.

        prompt: what is counted when it is stopped, since the server tells its counts at the end.
        """
        started, said, ended = time.monotonic(), "", False
        try:
            with closing(begin(options)) as pieces:  # type: ignore[type-var]  # all are generators
                for piece in pieces:
                    waited = None if said or not piece.text else time.monotonic() - started
                    self._use(
                        piece.prompt_tokens, piece.completion_tokens, waited and waited * 1000
                    )
                    said, ended = said + piece.text, piece.finish_reason is not None
                    yield piece
        except (EngineUnavailable, GenerationFailed) as error:
            if options.timeout and time.monotonic() - started >= options.timeout:
                raise AnswerTooSlow(options.timeout) from error
            raise
        finally:
            if self.usage is not None and said and not ended:
                self._use(self._count_if_possible(prompt), self._count_if_possible(said), None)

    def _use(self, prompt_tokens: int, completion_tokens: int, first_ms: float | None) -> None:
        """Add up what was used."""
        if self.usage is not None:
            self.usage.prompt_tokens += prompt_tokens
            self.usage.completion_tokens += completion_tokens
            if self.usage.first_token_ms is None:
                self.usage.first_token_ms = first_ms

    def _count_if_possible(self, text: str) -> int:
        """The tokens of a text; none when the engine is gone, since counting is not the job."""
        try:
            return self.count_tokens(text)
        except EngineError as error:
            log.debug("llm.not_counted", error=str(error))
            return 0


def as_messages(messages: Sequence[AnyMessage]) -> list[Message]:
    """A conversation whose messages may have any of their forms. Raises InvalidRequest."""
    if isinstance(messages, str) or not messages:
        raise InvalidRequest("There is no message to answer: give a list, [('user', 'Hello')].")
    return [as_message(each) for each in messages]


def as_message(message: AnyMessage) -> Message:
    """A message in any of the forms that it may come in. Raises InvalidRequest."""
    if isinstance(message, Message):
        return message
    try:
        if isinstance(message, Mapping):
            return Message.model_validate(dict(message))
        role, content = message
        return Message.model_validate({"role": role, "content": content})
    except (ValidationError, TypeError, ValueError):
        raise InvalidRequest(
            "A message is a role (system, user, assistant or tool) and a text, such as "
            "('user', 'Hello')."
        ) from None


def _text_of(conversation: Sequence[Message]) -> str:
    """All that is said in a conversation."""
    return "\n".join(message.content for message in conversation)
