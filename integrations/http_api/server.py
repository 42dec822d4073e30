"""The server: one process that listens, and stops cleanly.

Where it may listen is said in `exposure.py`. Start reading at `serve`.
"""

import errno
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
import uvicorn
from fastapi import FastAPI

from llmasos.errors import PortInUse, SettingsError

log = structlog.get_logger()

PATIENCE = 5
"""Seconds that open requests get when the server stops."""


def serve(app: FastAPI, door: socket.socket, listening: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    door: what `bind` gave. listening: is called with the address once it answers.
    """
    host, port = door.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    config = uvicorn.Config(
        app,
        http="h11",  # the strictest of the two: it refuses what is no proper request
        loop="asyncio",
        log_config=None,  # our own logging is set up already
        access_log=False,
        proxy_headers=False,  # nobody in front of us is trusted to say who calls
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=PATIENCE,
    )
    with door:
        _Server(config, app, lambda: listening(address)).run(sockets=[door])


def bind(host: str, port: int) -> socket.socket:
    """The socket to listen on. port: 0 takes a free one.

    Raises PortInUse, SettingsError for an address that this machine does not have.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    door = socket.socket(family)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((host, port))
    except OSError as error:
        door.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(host, port, "web.port") from None
        where = f"{host}:{port}"
        raise SettingsError("web.host", where, f"cannot be listened on: {error}") from None
    return door


class _Server(uvicorn.Server):
    """Uvicorn's server; a signal to stop ends it in order, with exit code 0."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._app = app
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listening()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM; what follows a job is told, or it would go on reading."""

        def stop(*_: object) -> None:
            self._app.state.followers.stopping.set()
            self.should_exit = True

        before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
