"""Text Generation Inference as a backend: the `text-generation` client, behind this fence.

Its client opens a connection for each call, cannot read TGI 3's chat stream and refuses what TGI
takes; so the calls here go over a wire of ours, while its types and errors stay. Nothing else
imports `text_generation`. Start reading at `TGIBackend`.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from text_generation import errors
from text_generation.types import Grammar, Parameters, StreamResponse

from llmasos.completions import (
    broken_off,
    chat_pieces,
    plain_message,
    sampling_fields,
    tool_fields,
    without_stop,
)
from llmasos.errors import (
    EngineError,
    EngineMisconfigured,
    EngineOverloaded,
    EngineRejected,
    EngineUnavailable,
    GenerationFailed,
)
from llmasos.generation import Message, ModelInfo, Options, Piece
from llmasos.wire import Wire, within

_MEANINGS: dict[type[Exception], type[EngineError]] = {
    errors.ValidationError: EngineRejected,
    errors.BadRequestError: EngineRejected,
    errors.NotFoundError: EngineMisconfigured,
    errors.NotSupportedError: EngineRejected,
    errors.UnknownError: EngineRejected,
    errors.OverloadedError: EngineOverloaded,
    errors.RateLimitExceededError: EngineOverloaded,
    errors.ShardNotReadyError: EngineUnavailable,
    errors.ShardTimeoutError: EngineUnavailable,
    errors.GenerationError: GenerationFailed,
    errors.IncompleteGenerationError: GenerationFailed,
}


def translated(error: Exception, url: str, status: int = 200) -> EngineError:
    """An error of the client as one of ours. status: HTTP's, where it decides."""
    meaning = _MEANINGS[type(error)]
    if meaning is EngineRejected and status >= 500:
        meaning = EngineUnavailable
    if meaning is EngineOverloaded:
        return EngineOverloaded(url)
    if meaning is EngineUnavailable:
        return EngineUnavailable(url, str(error))
    if meaning is EngineMisconfigured:
        return EngineMisconfigured(url, f"it says: {error}")
    return meaning(f"The engine at {url} says: {error}")


def _meaning(status: int, payload: dict[str, Any], url: str) -> EngineError:
    return translated(errors.parse_error(status, payload), url, status)


class TGIBackend:
    """One model on one TGI server.

    url: its address. key: bearer token. model: what chat requests name. connect_timeout and
    idle_timeout: seconds to a connection, and between two pieces of text.
    """

    kind = "tgi"

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        model: str = "tgi",
        connect_timeout: float = 5.0,
        idle_timeout: float = 120.0,
    ) -> None:
        self.model = model
        self.wire = Wire(
            url,
            key=key,
            connect_timeout=connect_timeout,
            idle_timeout=idle_timeout,
            meaning=_meaning,
        )
        self._info: ModelInfo | None = None

    def close(self) -> None:
        """Close all connections."""
        self.wire.close()

    def generate(self, prompt: str, options: Options) -> Iterator[Piece]:
        """Go on from a raw prompt."""
        pieces = _text_pieces(self.wire, {"inputs": prompt, "parameters": parameters(options)})
        return within(without_stop(pieces, options.stop), options.timeout, self.wire.url)

    def chat(self, messages: Sequence[Message], options: Options) -> Iterator[Piece]:
        """Answer the last message, through the model's own chat template."""
        plain = [_plain(message) for message in messages]
        if options.top_k or options.repetition_penalty:  # TGI's chat route has neither
            pieces = _templated(self.wire, plain, options)
        else:
            body = {"model": self.model, "messages": plain, **chat_parameters(options)}
            pieces = chat_pieces(self.wire.events("/v1/chat/completions", body), self.wire.url)
        return within(without_stop(pieces, options.stop), options.timeout, self.wire.url)

    def count_tokens(self, text: str) -> int:
        """The number of tokens that a text has for this model."""
        return len(self.wire.fetch("/tokenize", {"inputs": text})) if text else 0

    def info(self) -> ModelInfo:
        """The model that is served and its limits; asked once."""
        if self._info is None:
            self._info = described(self.wire.look("/info"), self.wire.url)
        return self._info


def described(plain: Any, url: str) -> ModelInfo:
    """What `/info` says. Raises EngineMisconfigured when it is not TGI's."""
    try:
        return ModelInfo(
            model=plain["model_id"],
            max_input_tokens=plain["max_input_tokens"],
            max_total_tokens=plain["max_total_tokens"],
        )
    except (KeyError, TypeError, ValueError):
        words = (
            "it is no Text Generation Inference server, since its /info describes no model; if it "
            'is vLLM, SGLang or llama-server, say kind = "openai" or leave kind out'
        )
        raise EngineMisconfigured(url, words) from None


def parameters(options: Options) -> dict[str, Any]:
    """Options as `/generate` takes them; temperature 0, which TGI refuses, is greedy there."""
    sampled = options.temperature > 0
    plain = Parameters(
        do_sample=sampled,
        max_new_tokens=options.max_new_tokens,
        temperature=options.temperature if sampled else None,
        top_p=options.top_p if sampled and options.top_p != 1 else None,
        top_k=options.top_k if sampled else None,
        stop=list(options.stop),
        seed=options.seed,
        repetition_penalty=options.repetition_penalty,
        grammar=Grammar(type="json", value=options.json_schema) if options.json_schema else None,
        details=True,
    )
    return dict(plain.model_dump(mode="json", exclude_none=True))


def chat_parameters(options: Options) -> dict[str, Any]:
    """Options as `/v1/chat/completions` takes them."""
    plain = {**sampling_fields(options), **tool_fields(options)}
    if options.json_schema:
        plain["response_format"] = {"type": "json", "value": options.json_schema}
    return plain


def _plain(message: Message) -> dict[str, Any]:
    """A message as TGI reads it: with both it would take the content and drop the calls."""
    plain = plain_message(message)
    if message.tool_calls:
        plain.pop("content", None)
    return plain


def _text_pieces(wire: Wire, body: dict[str, Any]) -> Iterator[Piece]:
    """The pieces of `/generate_stream`."""
    with closing(wire.events("/generate_stream", body)) as events:  # type: ignore[type-var]
        for event in events:
            step = StreamResponse(**event)
            text = "" if step.token.special else step.token.text
            if step.details:
                yield Piece(
                    text=text,
                    finish_reason=step.details.finish_reason.value,
                    prompt_tokens=event["details"].get("input_length", 0),
                    completion_tokens=step.details.generated_tokens,
                )
                return
            if text:
                yield Piece(text=text)
    raise broken_off(wire.url)


def _templated(wire: Wire, messages: list[dict[str, Any]], options: Options) -> Iterator[Piece]:
    """The pieces of a chat whose prompt is made by the server and whose text is generated raw."""
    if options.tools:
        raise EngineRejected(
            "TGI calls tools without top_k and repetition_penalty: leave these options out."
        )
    prompt = wire.fetch("/chat_tokenize", {"messages": messages})["templated_text"]
    yield from _text_pieces(wire, {"inputs": prompt, "parameters": parameters(options)})
