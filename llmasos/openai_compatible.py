"""Any OpenAI-compatible server as a backend: vLLM, SGLang, llama-server and their like.

Speaks `/v1/chat/completions`, `/v1/completions` and `/v1/models`, and uses what these servers add
to them (`top_k`, `/tokenize`, the length of the context) where they have it. No vendor's SDK.
Start reading at `OpenAIBackend`.
"""

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

from llmasos.completions import (
    chat_pieces,
    plain_message,
    sampling_fields,
    text_pieces,
    tool_fields,
    without_stop,
)
from llmasos.errors import EngineMisconfigured, nearest
from llmasos.generation import Message, ModelInfo, Options, Piece
from llmasos.wire import Wire, within

CONTEXT = 4096
"""Tokens taken for the context of a model whose server does not tell, and no setting does."""
BYTES_A_TOKEN = 3
"""UTF-8 bytes that a token has at least, on average: English has four, Chinese three."""


class OpenAIBackend:
    """One model on one OpenAI-compatible server.

    url: its address, with or without `/v1`. key: bearer token. model: one that it serves; None
    takes the only one. context: tokens of prompt and answer together, where the server does not
    tell. timeouts: seconds to a connection, and between two pieces of text.
    """

    kind = "openai"

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        model: str | None = None,
        context: int | None = None,
        timeouts: tuple[float, float] = (5.0, 120.0),
    ) -> None:
        connect, idle = timeouts
        self.wire = Wire(url, key=key, connect_timeout=connect, idle_timeout=idle)
        self._wanted, self._context = model, context
        self._info: ModelInfo | None = None
        self._counts = True

    def close(self) -> None:
        """Close all connections."""
        self.wire.close()

    def generate(self, prompt: str, options: Options) -> Iterator[Piece]:
        """Go on from a raw prompt."""
        return self._answer(options, {"prompt": prompt})

    def chat(self, messages: Sequence[Message], options: Options) -> Iterator[Piece]:
        """Answer the last message, through the model's own chat template."""
        plain = [plain_message(message) for message in messages]
        return self._answer(options, {"messages": plain, **tool_fields(options)})

    def count_tokens(self, text: str) -> int:
        """The number of tokens that a text has for this model.

        The protocol cannot count. vLLM, SGLang and llama-server have `/tokenize`; for a server
        without it this is an estimate that is rather too high: a token for every three bytes.
        """
        if not text:
            return 0
        if self._counts:
            # `prompt` is what vLLM and SGLang read, `content` what llama-server does.
            body = {"model": self._model(), "prompt": text, "content": text}
            try:
                tokens = self.wire.fetch("/tokenize", {**body, "add_special_tokens": False})
                return len(tokens["tokens"])
            except (EngineMisconfigured, KeyError, TypeError):
                self._counts = False
        return estimated_tokens(text)

    def info(self) -> ModelInfo:
        """The model that is served and its limits; asked once.

        Raises EngineMisconfigured when the server is not what it should be.
        """
        if self._info is None:
            served = _served(self.wire.look("/v1/models"), self.wire.url)
            entry = chosen(served, self._wanted, self.wire.url)
            length = _length(entry) or self._context or CONTEXT
            self._info = ModelInfo(
                model=entry["id"], max_input_tokens=length - 1, max_total_tokens=length
            )
        return self._info

    def _model(self) -> str:
        return self._wanted or self.info().model

    def _answer(self, options: Options, asked: dict[str, Any]) -> Iterator[Piece]:
        pieces = without_stop(self._pieces(options, asked), options.stop)
        return within(pieces, options.timeout, self.wire.url)

    def _pieces(self, options: Options, asked: dict[str, Any]) -> Iterator[Piece]:
        """The pieces of either route, asked when the first one is wanted."""
        body = {"model": self._model(), **asked, **body_fields(options)}
        if "messages" in asked:
            yield from chat_pieces(self.wire.events("/v1/chat/completions", body), self.wire.url)
        else:
            yield from text_pieces(self.wire.events("/v1/completions", body), self.wire.url)


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has for any model; rather too many."""
    return ceil(len(text.encode(errors="replace")) / BYTES_A_TOKEN)


def body_fields(options: Options) -> dict[str, Any]:
    """Options as both routes take them. `top_k` and the penalty are what these servers add."""
    plain = sampling_fields(options)
    if options.top_k and options.temperature:
        plain["top_k"] = options.top_k
    if options.repetition_penalty:
        plain["repetition_penalty"] = options.repetition_penalty
        plain["repeat_penalty"] = options.repetition_penalty  # llama-server's name for it
    if options.json_schema:
        schema = {"name": "answer", "schema": options.json_schema, "strict": True}
        plain["response_format"] = {"type": "json_schema", "json_schema": schema}
    return plain


def chosen(served: Sequence[dict[str, Any]], wanted: str | None, url: str) -> dict[str, Any]:
    """The entry of the wanted model. Raises EngineMisconfigured when it is not served."""
    names = tuple(entry["id"] for entry in served)
    if wanted is None and len(served) == 1:
        return served[0]
    for entry in served:
        if entry["id"] == wanted:
            return entry
    if wanted is None:
        words = f"it serves several models, so say which: model = one of {', '.join(names)}"
        raise EngineMisconfigured(url, words)
    raise EngineMisconfigured(url, f"it serves no model '{wanted}'.{nearest(wanted, names)}")


def _served(plain: Any, url: str) -> list[dict[str, Any]]:
    """The models of `/v1/models`. Raises EngineMisconfigured when it is not OpenAI's list."""
    entries = plain.get("data") if isinstance(plain, dict) else None
    if isinstance(entries, list):
        served = [e for e in entries if isinstance(e, dict) and isinstance(e.get("id"), str)]
        if served:
            return served
    words = "it is no OpenAI-compatible server, since its /v1/models lists no model"
    raise EngineMisconfigured(url, words)


def _length(entry: dict[str, Any]) -> int | None:
    """The context that a server tells: vLLM and SGLang in one place, llama-server in another."""
    meta = entry.get("meta")
    for found in (
        entry.get("max_model_len"),
        meta.get("n_ctx_train") if isinstance(meta, dict) else None,
    ):
        if isinstance(found, int) and found > 1:
            return found
    return None
