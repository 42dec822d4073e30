"""Text Generation Inference as a backend: the `text-generation` client, behind this fence.

Its client opens a connection for each call, cannot read TGI 3's chat stream and refuses what TGI
takes; so the calls here go through a connection pool of ours and are parsed by us, while its types
and errors stay. Nothing else imports `text_generation`. Start reading at `TGIBackend`.
"""

import itertools
import json
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import httpx
from text_generation import Client, errors
from text_generation.types import Grammar, Parameters, StreamResponse

from llmasos import system
from llmasos.errors import (
    EngineError,
    EngineOverloaded,
    EngineRejected,
    EngineUnavailable,
    GenerationFailed,
)
from llmasos.generation import Message, ModelInfo, Options, Piece
from llmasos.settings import Settings

KEPT_SECONDS = 30.0
"""How long an idle connection is kept; servers keep theirs longer."""
_CHAT_REASONS = {"stop": "eos_token"}

_MEANINGS: dict[type[Exception], type[EngineError]] = {
    errors.ValidationError: EngineRejected,
    errors.BadRequestError: EngineRejected,
    errors.NotFoundError: EngineRejected,
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
    return meaning(f"The engine at {url} says: {error}")


class PooledClient(Client):  # type: ignore[misc]  # the library has no types
    """The client of one server, on a connection pool."""

    def __init__(self, url: str, http: httpx.Client) -> None:
        super().__init__(url.rstrip("/"))
        self._http = http

    def fetch(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask and parse the whole answer. Raises EngineError."""
        try:
            reply = self._http.request("POST" if body else "GET", self.base_url + path, json=body)
            self._check(reply)
            return reply.json()
        except httpx.HTTPError as error:
            raise EngineUnavailable(self.base_url, _reason(error)) from error
        except ValueError as error:
            raise EngineUnavailable(self.base_url, "its answer is not JSON") from error

    def events(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Ask and give each server-sent event. Closing it closes the connection.

        Raises EngineUnavailable before the first event, GenerationFailed from then on.
        """
        begun = False
        try:
            with self._http.stream("POST", self.base_url + path, json=body) as reply:
                if reply.is_error:
                    reply.read()
                    self._check(reply)
                for line in reply.iter_lines():
                    data = line[5:].strip() if line.startswith("data:") else ""
                    if data == "[DONE]":
                        return
                    if data:
                        event = json.loads(data)
                        if "error" in event:
                            raise self._refused(200, event)
                        begun = True
                        yield event
        except (httpx.HTTPError, ValueError) as error:
            if not begun:
                raise EngineUnavailable(self.base_url, _reason(error)) from error
            words = f"The engine at {self.base_url} broke off: {_reason(error)}"
            raise GenerationFailed(words) from error

    def _check(self, reply: httpx.Response) -> None:
        if reply.is_error:
            try:
                payload = reply.json()
            except ValueError:
                payload = reply.text[:300]
            raise self._refused(reply.status_code, payload)

    def _refused(self, status: int, payload: Any) -> EngineError:
        """What an error payload means, whatever its shape."""
        if status in (401, 403):
            return EngineRejected(
                f"The engine at {self.base_url} does not take the key: set llm.api_key "
                "(LLMASOS_LLM__API_KEY)."
            )
        plain = payload if isinstance(payload, dict) else {"error": payload}
        message = plain.get("error") or plain.get("message") or f"HTTP status {status}"
        if isinstance(message, dict):  # OpenAI's form
            message = message.get("message", message)
        parsed = errors.parse_error(status, {**plain, "error": str(message)})
        return translated(parsed, self.base_url, status)


class TGIBackend:
    """One model on one or several TGI servers.

    urls: tried in turn; a server that does not answer, or is overloaded, is passed over as long as
    no text has come. key: bearer token. model: what chat requests name. connect_timeout and
    idle_timeout: seconds to a connection, and between two pieces of text.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        key: str | None = None,
        model: str = "tgi",
        connect_timeout: float = 5.0,
        idle_timeout: float = 120.0,
    ) -> None:
        self.urls, self.model = tuple(urls), model
        self._http = httpx.Client(
            timeout=httpx.Timeout(idle_timeout, connect=connect_timeout),
            limits=httpx.Limits(max_connections=None, keepalive_expiry=KEPT_SECONDS),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            trust_env=False,
        )
        weakref.finalize(self, self._http.close)  # who forgets to close it leaves no socket open
        self._clients = [PooledClient(url, self._http) for url in self.urls]
        self._turn = itertools.count()
        self._info: ModelInfo | None = None

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def generate(self, prompt: str, options: Options) -> Iterator[Piece]:
        """Go on from a raw prompt."""
        body = {"inputs": prompt, "parameters": parameters(options)}
        pieces = self._failing_over(lambda client: _text_pieces(client, body))
        return without_stop(pieces, options.stop)

    def chat(self, messages: Sequence[Message], options: Options) -> Iterator[Piece]:
        """Answer the last message, through the model's own chat template."""
        plain = [message.model_dump() for message in messages]
        if options.top_k or options.repetition_penalty:  # TGI's chat route has neither
            pieces = self._failing_over(lambda client: _templated(client, plain, options))
        else:
            body = {"model": self.model, "messages": plain, **chat_parameters(options)}
            pieces = self._failing_over(lambda client: _chat_pieces(client, body))
        return without_stop(pieces, options.stop)

    def count_tokens(self, text: str) -> int:
        """The number of tokens that a text has for this model."""
        if not text:
            return 0
        return len(self._first(lambda client: client.fetch("/tokenize", {"inputs": text})))

    def info(self) -> ModelInfo:
        """The model that is served and its limits; asked once."""
        if self._info is None:
            plain = self._first(lambda client: client.fetch("/info"))
            self._info = ModelInfo(
                model=plain["model_id"],
                max_input_tokens=plain["max_input_tokens"],
                max_total_tokens=plain["max_total_tokens"],
            )
        return self._info

    def _rotated(self) -> list[PooledClient]:
        """The servers, each call beginning with the next one."""
        start = next(self._turn) % len(self._clients)
        return self._clients[start:] + self._clients[:start]

    def _first(self, ask: Callable[[PooledClient], Any]) -> Any:
        """The answer of the first server that has one."""
        *others, last = self._rotated()
        for client in others:
            try:
                return ask(client)
            except (EngineUnavailable, EngineOverloaded):
                continue
        return ask(last)

    def _failing_over(self, ask: Callable[[PooledClient], Iterator[Piece]]) -> Iterator[Piece]:
        """The pieces of the first server from which one comes."""
        *others, last = self._rotated()
        for client in others:
            with closing(ask(client)) as pieces:  # type: ignore[type-var]  # all are generators
                try:
                    first = next(pieces)
                except (EngineUnavailable, EngineOverloaded):
                    continue
                yield first
                yield from pieces
                return
        with closing(ask(last)) as pieces:  # type: ignore[type-var]
            yield from pieces


def connect(settings: Settings) -> TGIBackend:
    """The backend that the settings name, or else the running system's engine.

    Raises EngineUnavailable when there is neither.
    """
    where = system.addresses(settings)
    if not where.llm_urls:
        raise EngineUnavailable("none", "no system runs here and llm.urls names no server")
    return TGIBackend(
        where.llm_urls,
        key=where.llm_key,
        model=settings.llm.model,
        connect_timeout=settings.llm.connect_timeout,
        idle_timeout=settings.llm.idle_timeout,
    )


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
    greedy = options.temperature == 0
    plain = {
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": options.max_new_tokens,
        "temperature": options.temperature,
        "top_p": None if greedy or options.top_p == 1 else options.top_p,
        "stop": list(options.stop) or None,
        "seed": options.seed,
        "response_format": {"type": "json", "value": options.json_schema}
        if options.json_schema
        else None,
    }
    return {name: value for name, value in plain.items() if value is not None}


def _text_pieces(client: PooledClient, body: dict[str, Any]) -> Iterator[Piece]:
    """The pieces of `/generate_stream`."""
    with closing(client.events("/generate_stream", body)) as events:  # type: ignore[type-var]
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
    raise GenerationFailed(f"The engine at {client.base_url} broke off before the text's end.")


def _templated(
    client: PooledClient, messages: list[dict[str, Any]], options: Options
) -> Iterator[Piece]:
    """The pieces of a chat whose prompt is made by the server and whose text is generated raw."""
    prompt = client.fetch("/chat_tokenize", {"messages": messages})["templated_text"]
    return _text_pieces(client, {"inputs": prompt, "parameters": parameters(options)})


def _chat_pieces(client: PooledClient, body: dict[str, Any]) -> Iterator[Piece]:
    """The pieces of `/v1/chat/completions`; the last one has no text but the counts."""
    reason, usage = None, {"prompt_tokens": 0, "completion_tokens": 0}
    with closing(client.events("/v1/chat/completions", body)) as events:  # type: ignore[type-var]
        for event in events:
            usage = event.get("usage") or usage
            for choice in event.get("choices", ())[:1]:
                reason = choice.get("finish_reason") or reason
                if text := (choice.get("delta") or {}).get("content"):
                    yield Piece(text=text)
    if reason is None:
        raise GenerationFailed(f"The engine at {client.base_url} broke off before the text's end.")
    yield Piece(
        text="",
        finish_reason=_CHAT_REASONS.get(reason, reason),
        prompt_tokens=usage["prompt_tokens"],
        completion_tokens=usage["completion_tokens"],
    )


def without_stop(pieces: Iterator[Piece], stops: Sequence[str]) -> Iterator[Piece]:
    """The pieces without the stop sequence that ends them, which TGI leaves in the text."""
    held = ""
    with closing(pieces):  # type: ignore[type-var]
        for piece in pieces:
            held += piece.text
            if piece.finish_reason:
                ends = [at for stop in stops if (at := held.find(stop)) >= 0]
                text = held[: min(ends)] if ends else held
                yield piece.model_copy(update={"text": text})
                return
            shown = len(held) - _beginning(held, stops)
            if shown:
                yield Piece(text=held[:shown])
                held = held[shown:]


def _beginning(text: str, stops: Sequence[str]) -> int:
    """How many characters at a text's end may belong to a stop sequence, at most."""
    for stop in stops:
        if stop in text:
            return len(text) - text.index(stop)
    longest = min(len(text), max((len(stop) for stop in stops), default=0))
    return next(
        (n for n in range(longest, 0, -1) if any(s.startswith(text[-n:]) for s in stops)), 0
    )


def _reason(error: Exception) -> str:
    """Why a server does not answer, in a few words."""
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, httpx.TimeoutException):
        return "nothing came in time"
    return str(error) or type(error).__name__
