"""LLM: a language model as people use it. `LLM.from_pretrained(NAME).generate_text(…)`.

Stands on a `Backend` (generation.py), which does the work; adds defaults, counting and the choice
of a server. Light: the client and the engine are loaded when they are needed.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import structlog
from pydantic import ValidationError

from llmasos.errors import EngineError, InvalidRequest
from llmasos.generation import Backend, Message, ModelInfo, Options, Piece, Sampling, Usage

if TYPE_CHECKING:
    from llmasos.engine.launch import EngineProcess
    from llmasos.settings import Settings

log = structlog.get_logger()

AnyMessage = Message | Mapping[str, str] | tuple[str, str]
"""A message, `{"role": …, "content": …}`, or `("user", "Hello")`."""


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
    def from_pretrained(cls, model: str, *, config: Path | None = None) -> "LLM":
        """A model by its name in the library, by its GGUF file, or by the address of a server.

        In a home where a system runs that serves the model, its engine is used; otherwise an engine
        process is started, shared by this process, and ended with it.
        config: the `llmasos.toml` to go by. Raises SettingsError, UnknownModel, ModelMissing or
        EngineUnavailable.
        """
        from llmasos.settings import load  # late, all three: `import llmasos` stays light
        from llmasos.system import addresses
        from llmasos.tgi import TGIBackend, connect

        settings = load(config)
        if model.startswith(("http://", "https://")):
            key = settings.llm.api_key
            return cls(TGIBackend([model], key=key.get_secret_value() if key else None))
        if addresses(settings).llm_urls:
            backend = connect(settings)
            if backend.info().model == model:
                return cls(backend)
            backend.close()
        engine = _own_engine(settings, model)
        return cls(TGIBackend([engine.url], key=engine.key, model=model))

    def generate_text(
        self, prompt: str, *, max_length: int | None = None, **sampling: Unpack[Sampling]
    ) -> str:
        """The text that goes on from a prompt, without the prompt.

        max_length: tokens of prompt and text together; `max_new_tokens` counts the text alone.
        sampling: see `Options`. Raises InvalidRequest or an EngineError.
        """
        return "".join(self.stream_text(prompt, max_length=max_length, **sampling))

    def stream_text(
        self, prompt: str, *, max_length: int | None = None, **sampling: Unpack[Sampling]
    ) -> Iterator[str]:
        """The same, piece by piece. Closing the iterator stops the model."""
        options = self._options(sampling)
        if not prompt:
            raise InvalidRequest("The prompt is empty.")
        if max_length is not None:
            options = self._within(options, prompt, max_length)
        return self._pieces(prompt, lambda: self.backend.generate(prompt, options))

    def chat(self, messages: Sequence[AnyMessage], **sampling: Unpack[Sampling]) -> str:
        """The answer to a conversation. Raises InvalidRequest or an EngineError."""
        return "".join(self.stream_chat(messages, **sampling))

    def stream_chat(
        self, messages: Sequence[AnyMessage], **sampling: Unpack[Sampling]
    ) -> Iterator[str]:
        """The same, piece by piece. Closing the iterator stops the model."""
        options = self._options(sampling)
        conversation = [as_message(message) for message in messages]
        if not conversation:
            raise InvalidRequest("There is no message to answer.")
        return self._pieces(
            "\n".join(message.content for message in conversation),
            lambda: self.backend.chat(conversation, options),
        )

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

    def _options(self, sampling: Sampling) -> Options:
        try:
            return self.options.merged(sampling)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            if first["type"] == "extra_forbidden":
                known = ", ".join(Options.model_fields)
                raise InvalidRequest(f"There is no option '{name}'. Known: {known}.") from None
            raise InvalidRequest(f"Option {name}: {first['msg']}.") from None

    def _within(self, options: Options, prompt: str, max_length: int) -> Options:
        """The options with an answer that ends at `max_length`."""
        room = max_length - self.count_tokens(prompt)
        if room < 1:
            raise InvalidRequest(
                f"The prompt has {max_length - room} tokens, max_length is {max_length}: there is "
                "no room for an answer. Give a larger max_length, or max_new_tokens."
            )
        return options.model_copy(update={"max_new_tokens": room})

    def _pieces(self, prompt: str, begin: Callable[[], Iterator[Piece]]) -> Iterator[str]:
        """The texts of a generation, counted; also of one that is stopped before its end.

        prompt: what is counted when it is stopped, since the server tells its counts at the end.
        """
        started, spoken = time.monotonic(), 0
        pieces = begin()
        try:
            for piece in pieces:
                if self.usage is not None:
                    if piece.text and self.usage.first_token_ms is None:
                        self.usage.first_token_ms = (time.monotonic() - started) * 1000
                    self.usage.prompt_tokens += piece.prompt_tokens
                    self.usage.completion_tokens += piece.completion_tokens
                if piece.text:
                    spoken += 1  # a server sends a piece a token
                    yield piece.text
        except GeneratorExit:
            if self.usage is not None:
                self.usage.prompt_tokens += self._count_if_possible(prompt)
                self.usage.completion_tokens += spoken
            raise
        finally:
            close = getattr(pieces, "close", None)
            if close:
                close()

    def _count_if_possible(self, text: str) -> int:
        """The tokens of a text; none when the engine is gone, since counting is not the job."""
        try:
            return self.count_tokens(text)
        except EngineError as error:
            log.debug("llm.not_counted", error=str(error))
            return 0


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
            "A message is a role (system, user or assistant) and a text, such as ('user', 'Hello')."
        ) from None


_engines: dict[tuple[Path, str], "EngineProcess"] = {}
_engines_lock = threading.Lock()


def _own_engine(settings: "Settings", model: str) -> "EngineProcess":
    """This process's engine for a model; started once, and again if it has died."""
    from llmasos.engine.launch import EngineProcess  # late: not needed where a system runs

    with _engines_lock:
        engine = _engines.get((settings.home, model))
        if engine is None or not engine.alive():
            key = secrets.token_urlsafe(24)
            engine = EngineProcess.start(settings, key=key, model=model, embeddings=False)
            _engines[settings.home, model] = engine
        return engine
