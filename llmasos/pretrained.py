"""What stands behind a model's name, file or address: `LLM.from_pretrained` asks here.

A server at an address; or the servers that this home has, if they serve the model; or else the
engine that all programs of this home share, started by whoever needs it first (`HomeBackend`).
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from llmasos.engine.place import Address
from llmasos.engine.serving import chosen
from llmasos.engine.sharing import shared
from llmasos.errors import EngineUnavailable, UnknownModel
from llmasos.generation import Backend, Message, ModelInfo, Options, Piece
from llmasos.pool import at, connect
from llmasos.settings import Settings, load, replaced
from llmasos.system import addresses
from llmasos.tgi import TGIBackend

T = TypeVar("T")


def backend_of(model: str, *, key: str | None = None, config: Path | None = None) -> Backend:
    """The backend of a model. See `LLM.from_pretrained` for what it takes and raises."""
    settings = load(config)
    if model.startswith(("http://", "https://")):
        return _at(model, settings, key)
    if model in settings.llm.models:
        return connect(settings, model)
    served = tuple(settings.llm.models)
    if addresses(settings).llm_urls:
        running = connect(settings)
        if running.info().model == model:
            return running
        served = (*served, running.info().model)
        running.close()
    try:
        return HomeBackend(settings, model)
    except UnknownModel as unknown:
        raise UnknownModel(unknown.name, (*unknown.known, *served)) from None


def _at(url: str, settings: Settings, key: str | None) -> Backend:
    """The server at an address, which is asked what it is. Raises EngineError."""
    if key:
        llm = settings.llm.model_copy(update={"api_key": SecretStr(key)})
        settings = replaced(settings, llm=llm)
    backend = at(url, settings)
    backend.info()
    return backend


class HomeBackend:
    """The engine that a home's programs share, for one model.

    model: its name in the library, or its file. The engine ends when it is idle; the next question
    finds another, or starts one. Raises UnknownModel, ModelMissing, ModelError, SettingsError,
    HomeNotWritable or EngineUnavailable.
    """

    def __init__(self, settings: Settings, model: str) -> None:
        self._settings, self._served = settings, chosen(settings, model, embeddings=False)
        self._finding = threading.Lock()
        self._engine = self._found(shared(settings, self._served))

    def close(self) -> None:
        """Close all connections. The engine ends by itself."""
        self._engine[1].close()

    def generate(self, prompt: str, options: Options) -> Iterator[Piece]:
        """Go on from a raw prompt."""
        return self._pieces(lambda backend: backend.generate(prompt, options))

    def chat(self, messages: Sequence[Message], options: Options) -> Iterator[Piece]:
        """Answer the last message, through the model's own chat template."""
        return self._pieces(lambda backend: backend.chat(messages, options))

    def count_tokens(self, text: str) -> int:
        """The number of tokens that a text has for this model."""
        return self._asked(lambda backend: backend.count_tokens(text))

    def info(self) -> ModelInfo:
        """The model that is served and its limits."""
        return self._asked(lambda backend: backend.info())

    def _asked(self, ask: Callable[[Backend], T]) -> T:
        """The answer, asked again when the engine has ended since it was found."""
        url, backend = self._engine
        try:
            return ask(backend)
        except EngineUnavailable as gone:
            return ask(self._another(url, gone))

    def _pieces(self, begin: Callable[[Backend], Iterator[Piece]]) -> Iterator[Piece]:
        """The pieces, asked for again when the engine has ended since it was found."""
        url, backend = self._engine
        with closing(begin(backend)) as pieces:  # type: ignore[type-var]  # all are generators
            try:
                first = next(pieces)
            except EngineUnavailable as gone:
                again = begin(self._another(url, gone))
            else:
                yield first
                yield from pieces
                return
        with closing(again):  # type: ignore[type-var]
            yield from again

    def _another(self, url: str, gone: EngineUnavailable) -> Backend:
        """The engine in the place of the one at an address. gone: raised if that is still there."""
        with self._finding:
            if self._engine[0] == url:  # else another thread has been here
                address = shared(self._settings, self._served)
                if address.url == url:
                    raise gone
                self._engine = self._found(address)
            return self._engine[1]

    def _found(self, address: Address) -> tuple[str, TGIBackend]:
        """An engine's address, and the backend that speaks to it."""
        name = self._served.text_model or "tgi"
        return address.url, TGIBackend(address.url, key=address.key, model=name)
