"""The port to embeddings, and the client of a server that computes them.

`HttpEmbedder` speaks the protocol of Text Embeddings Inference, which the engine speaks too.
Knows nothing of models: torch is on the other side of the wire.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, Self

import httpx
import numpy as np
import numpy.typing as npt
import orjson

from knowledge.tokens import Estimate, Tokenizer, Tokens
from llmasos.engine.library import ModelLibrary
from llmasos.errors import (
    EngineOverloaded,
    EngineRejected,
    EngineUnavailable,
    ModelMissing,
    UnknownModel,
)
from llmasos.settings import Settings
from llmasos.system import addresses

Vectors = npt.NDArray[np.float32]
"""Shape (texts, dimension); rows have length 1."""

BATCH = 32
"""Texts in one request: what TEI takes by default."""
IN_FLIGHT = 4
"""Requests at the same time: while the model works on one, the others are read and written."""
TIMEOUT = httpx.Timeout(120.0, connect=5.0)
PATIENCE = (0.1, 0.3, 1.0, 3.0)
"""Seconds to wait before each further try when the server is overloaded."""


class Embedder(Protocol):
    """Turns texts into vectors. Implementations: `HttpEmbedder`, `testing.HashingEmbedder`."""

    @property
    def model(self) -> str:
        """The name of the model: vectors of different models are not compared."""
        ...

    @property
    def tokens(self) -> Tokens:
        """How the model counts: what chunks are measured in."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of length 1 for each text, in order.

        Raises EngineUnavailable, EngineOverloaded or EngineRejected.
        """
        ...


@dataclass(frozen=True)
class Server:
    """Where embeddings are computed."""

    url: str
    """Base address."""
    key: str | None = None
    """Bearer key."""


class HttpEmbedder:
    """Embeds through a server's `/embed`; pooled connections, safe in threads."""

    def __init__(
        self, locate: Callable[[], Server], model: str, tokens: Tokens | None = None
    ) -> None:
        """locate: where the server is; asked each time, since a restarted engine may have moved.

        model: the name of the model that it serves; tokens: how that counts, if it is known.
        """
        self._locate = locate
        self._model = model
        self._tokens = tokens or Estimate()
        self._client = httpx.Client(timeout=TIMEOUT, trust_env=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The server that the settings name, else the engine of the system that runs here."""
        return cls(lambda: _located(settings), settings.embedding.model, tokens_of(settings))

    @property
    def model(self) -> str:
        """The name of the model, as the settings have it."""
        return self._model

    @property
    def tokens(self) -> Tokens:
        """How the model counts, or an estimate of it."""
        return self._tokens

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of length 1 for each text, in order.

        Texts of like length go together: a batch is padded to its longest.
        """
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        parts = [
            [texts[place] for place in order[first : first + BATCH]]
            for first in range(0, len(order), BATCH)
        ]
        if not parts:
            return np.zeros((0, 0), dtype=np.float32)
        batches = [self._embed_batch(parts[0])] if len(parts) == 1 else self._embed_all(parts)
        if len({batch.shape[1] for batch in batches}) > 1:
            raise EngineRejected("The embedding server answered with uneven vectors.")
        vectors: Vectors = np.concatenate(batches)[np.argsort(order)]
        return vectors

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _embed_all(self, parts: list[list[str]]) -> list[Vectors]:
        """The vectors of several batches, some of them on their way at the same time."""
        with ThreadPoolExecutor(min(IN_FLIGHT, len(parts))) as threads:
            try:
                return list(threads.map(self._embed_batch, parts))
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise

    def _embed_batch(self, texts: list[str]) -> Vectors:
        answer = self._post({"inputs": texts, "truncate": True})
        try:
            rows: Any = orjson.loads(answer.content)
        except ValueError as error:
            raise EngineRejected("The embedding server answered with no JSON.") from error
        if not isinstance(rows, list) or len(rows) != len(texts):
            raise EngineRejected("The embedding server did not answer with one vector a text.")
        return _unit(rows)

    def _post(self, body: dict[str, Any]) -> httpx.Response:
        """Post, and again while the server is overloaded."""
        server = self._locate()
        url = server.url.rstrip("/")
        headers = {"Authorization": f"Bearer {server.key}"} if server.key else {}
        for wait in (0.0, *PATIENCE):
            time.sleep(wait)
            try:
                answer = self._client.post(f"{url}/embed", json=body, headers=headers)
            except httpx.TransportError as error:
                raise EngineUnavailable(url, str(error) or type(error).__name__) from error
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                _check(answer, url)
                return answer
        raise EngineOverloaded(url)


def tokens_of(settings: Settings) -> Tokens:
    """How the model that the settings name counts; an estimate when its files are not here."""
    library = ModelLibrary(settings.models_dir)
    try:
        window = library.show(settings.embedding.model).context
    except UnknownModel:
        return Estimate()
    try:
        path = library.path(settings.embedding.model) / "tokenizer.json"
    except ModelMissing:
        return Estimate(window)
    return Tokenizer(path, window) if path.is_file() else Estimate(window)


def _located(settings: Settings) -> Server:
    found = addresses(settings)
    if found.embedding_url is None:
        raise EngineUnavailable(str(settings.home), "no system runs there; `llmasos up` starts one")
    return Server(found.embedding_url, found.embedding_key)


def _check(answer: httpx.Response, url: str) -> None:
    """Turn the server's refusals into errors of ours."""
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise EngineRejected(
            f"{url} refuses the key (HTTP {answer.status_code}). Set embedding.api_key."
        )
    if answer.is_server_error:
        raise EngineUnavailable(url, f"HTTP {answer.status_code} from /embed")
    if not answer.is_success:
        raise EngineRejected(
            f"{url}/embed refused the texts: HTTP {answer.status_code} {_reason(answer)}"
        )


def _reason(answer: httpx.Response) -> str:
    """What the server says is wrong; nothing else of its answer, which may quote the texts."""
    try:
        said = answer.json()
    except ValueError:
        return ""
    return str(said.get("error", ""))[:200] if isinstance(said, dict) else ""


def _unit(rows: list[Any]) -> Vectors:
    """The rows as vectors of length 1."""
    try:
        vectors = np.asarray(rows, dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise EngineRejected("The embedding server answered with uneven vectors.") from error
    if vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
        raise EngineRejected("The embedding server answered with something that is no vectors.")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.float32(1e-12)), dtype=np.float32)
