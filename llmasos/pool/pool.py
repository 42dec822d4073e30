"""One model on many servers, as a `Backend`.

Another server is tried as long as no piece has come; from then on a failure is told, since the
second half of another answer would be none. Start reading at `Pool._pieces`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Protocol, TypeVar

import structlog

from llmasos.errors import (
    EngineError,
    EngineMisconfigured,
    EngineRejected,
    EngineUnavailable,
    GenerationFailed,
)
from llmasos.generation import Backend, Message, ModelInfo, Options, Piece
from llmasos.openai_compatible import estimated_tokens
from llmasos.pool.affinity import BEGINNING, home_of, key_of
from llmasos.pool.route import Route, Tiers
from llmasos.pool.server import Call, Server, why
from llmasos.wire import watched

log = structlog.get_logger()

T = TypeVar("T")
Ask = Callable[[Backend, Options], Iterator[Piece]]


class Servers(Protocol):
    """Who knows the servers: a `fleet.Fleet`."""

    def tiers(self, alias: str) -> Tiers:
        """The servers of a model now, and those of the models that stand in for it."""
        ...

    def route(self, alias: str, key: str, timeout: float | None) -> Route:
        """A way for one request."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class Pool:
    """A model: a `generation.Backend`. fleet: its servers; alias: its name."""

    def __init__(self, fleet: Servers, alias: str) -> None:
        self._fleet, self.alias = fleet, alias

    def close(self) -> None:
        """Close the connections of all servers that this one was made with."""
        self._fleet.close()

    def generate(self, prompt: str, options: Options) -> Iterator[Piece]:
        """Go on from a raw prompt."""
        tokens = estimated_tokens(prompt) + options.max_new_tokens
        return self._pieces(
            prompt[:BEGINNING], tokens, options, lambda backend, o: backend.generate(prompt, o)
        )

    def chat(self, messages: Sequence[Message], options: Options) -> Iterator[Piece]:
        """Answer the last message, through the model's own chat template."""
        tokens = sum(estimated_tokens(m.content) for m in messages) + options.max_new_tokens
        return self._pieces(
            key_of(messages), tokens, options, lambda backend, o: backend.chat(messages, o)
        )

    def count_tokens(self, text: str) -> int:
        """The number of tokens that a text has for this model."""
        return self._asked(lambda server: server.identity().backend.count_tokens(text))

    def info(self) -> ModelInfo:
        """The model that is served, and limits that each of its servers known so far keeps."""
        first = self._asked(lambda server: server.identity().info)
        known = [server.known for server in self._fleet.tiers(self.alias)[0]]
        infos = [first, *(each.info for each in known if each is not None)]
        return ModelInfo(
            model=first.model,
            max_input_tokens=min(info.max_input_tokens for info in infos),
            max_total_tokens=min(info.max_total_tokens for info in infos),
        )

    def _pieces(self, key: str, tokens: int, options: Options, ask: Ask) -> Iterator[Piece]:
        """The pieces of the first server from which one comes."""
        route = self._fleet.route(self.alias, key, options.timeout)
        for server in route:
            call = server.begin(tokens)
            if call is None:
                continue
            limited = options.model_copy(update={"timeout": max(route.left, 0.001)})
            pieces = _watched(_begun(server, call, ask, limited), server, route)
            try:
                with closing(pieces):  # type: ignore[type-var]  # all are generators
                    for piece in pieces:
                        if not call.begun:
                            self._count(server, key)
                        call.came(piece)
                        yield piece
                return
            except EngineError as error:
                _go_on(route, server, call, error)
            except BaseException:
                call.gave_up()
                raise
            finally:
                call.end()

    def _asked(self, ask: Callable[[Server], T]) -> T:
        """The answer of the first server that has one."""
        route = self._fleet.route(self.alias, "", None)
        for server in route:
            call = server.begin(0)
            if call is None:
                continue
            try:
                with watched(partial(_stand_by, server, route)):
                    answer = ask(server)
                call.answered()
                return answer
            except EngineError as error:
                _go_on(route, server, call, error)
            except BaseException:
                call.gave_up()
                raise
            finally:
                call.end()
        raise AssertionError("a route ends with an error")

    def _count(self, server: Server, key: str) -> None:
        """Count whether a conversation is where it belongs."""
        own = self._fleet.tiers(self.alias)[0]
        server.measures.count("stayed" if server is home_of(key, own) else "moved")


def _begun(server: Server, call: Call, ask: Ask, options: Options) -> Iterator[Piece]:
    """The pieces of one server, which is asked when the first one is wanted."""
    backend = server.identity().backend
    call.sent()
    yield from ask(backend, options)


def _watched(pieces: Iterator[Piece], server: Server, route: Route) -> Iterator[Piece]:
    """The pieces, as long as it makes sense to wait for them."""
    with closing(pieces):  # type: ignore[type-var]
        while True:
            with watched(partial(_stand_by, server, route)):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece


def _stand_by(server: Server, route: Route) -> None:
    """Leave a server that is down, if there is another to ask."""
    if server.down and route.elsewhere(server):
        raise EngineUnavailable(server.url, f"it stopped answering: {server.pulse.problem}")


def _go_on(route: Route, server: Server, call: Call, error: EngineError) -> None:
    """Go on to the next server, or raise where that would be wrong."""
    if route.left > 0:
        call.failed(error)
    else:
        call.gave_up()  # whoever asks for an answer within a second learns nothing of the server
    if call.begun:
        if isinstance(error, GenerationFailed):
            raise error
        raise GenerationFailed(f"The engine at {server.url} broke off: {why(error)}") from error
    if isinstance(error, EngineRejected) and not isinstance(error, EngineMisconfigured):
        raise error  # another would refuse it as well
    log.warning("pool.passed_over", url=server.url, error_type=type(error).__name__)
    route.failed(server, error)
