"""Texts to vectors, for programs: the home's embedding model, by its server or its shared engine.

Classifier and recommender compare texts with it. Knows only the protocol of `/embed`; collections
of documents have a client of their own that counts tokens too. Start reading at `HomeEmbedder`.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx
import numpy as np
import numpy.typing as npt

from llmasos.errors import EngineRejected, EngineUnavailable

Vectors = npt.NDArray[np.float32]
"""Shape (texts, dimension); rows have length 1."""

BATCH = 32
"""Texts in one request: what servers take by default."""
TIMEOUT = httpx.Timeout(120.0, connect=5.0)


class Embeds(Protocol):
    """Turns texts into vectors. Implementations: `HomeEmbedder`, `testing.HashingEmbedder`,
    `knowledge.HttpEmbedder`.
    """

    @property
    def model(self) -> str:
        """The name of the model: vectors of different models are not compared."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of length 1 for each text, in order."""
        ...


class HomeEmbedder:
    """The embedding model of a home: of its running system, or of an engine that its programs
    share and that is started when it is first needed.

    config: the `llmasos.toml` to go by. Raises SettingsError, UnknownModel or ModelMissing.
    """

    def __init__(self, config: Path | None = None) -> None:
        from llmasos.settings import load  # late: a classifier over another embedder needs none

        self._settings = load(config)
        self._client = httpx.Client(timeout=TIMEOUT, trust_env=False)
        self._finding = threading.Lock()
        self._place: tuple[str, str | None] | None = None

    @property
    def model(self) -> str:
        """The name of the model, as the settings have it."""
        return self._settings.embedding.model

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of length 1 for each text, in order.

        Raises EngineUnavailable or EngineRejected.
        """
        rows = [self._batch(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
        return np.concatenate(rows) if rows else np.zeros((0, 0), dtype=np.float32)

    def close(self) -> None:
        """Close the connections. The engine ends by itself."""
        self._client.close()

    def _batch(self, texts: Sequence[str]) -> Vectors:
        body = {"inputs": [text or " " for text in texts], "truncate": True}
        place = self._found(None)
        try:
            answer = self._post(place, body)
        except httpx.TransportError:
            place = self._found(place)  # an engine that was idle has ended: there is another
            try:
                answer = self._post(place, body)
            except httpx.TransportError as error:
                raise EngineUnavailable(place[0], str(error) or type(error).__name__) from error
        if not answer.is_success:
            raise EngineRejected(f"{place[0]}/embed refused the texts: HTTP {answer.status_code}")
        vectors = np.asarray(answer.json(), dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise EngineRejected("The embedding server did not answer with one vector a text.")
        unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return unit

    def _post(self, place: tuple[str, str | None], body: dict[str, Any]) -> httpx.Response:
        url, key = place
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return self._client.post(f"{url}/embed", json=body, headers=headers)

    def _found(self, gone: tuple[str, str | None] | None) -> tuple[str, str | None]:
        """Where the model is served. gone: a place where it was before."""
        from llmasos.engine.serving import embedding_only  # late: starts an engine if need be
        from llmasos.engine.sharing import shared
        from llmasos.system import addresses

        with self._finding:
            if self._place is None or self._place == gone:
                running = addresses(self._settings)
                if running.embedding_url:
                    self._place = running.embedding_url.rstrip("/"), running.embedding_key
                else:
                    engine = shared(self._settings, embedding_only(self._settings))
                    self._place = engine.url.rstrip("/"), engine.key
            return self._place
