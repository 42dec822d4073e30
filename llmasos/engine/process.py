"""The engine's process: take the port, load the models, open the door, stop cleanly.

`llmasos engine` runs `serve`; `python -m llmasos.engine` does as a child of `launch.py`.
"""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog
import uvicorn
import uvloop

from llmasos.engine.app import build
from llmasos.engine.embedder import Embedder
from llmasos.engine.lease import Lease
from llmasos.engine.llama import Llama
from llmasos.engine.serving import Served
from llmasos.engine.text_model import TextModel
from llmasos.engine.torch_model import TorchModel
from llmasos.errors import ModelError, PortInUse, SettingsError
from llmasos.settings import EngineSettings, prefer

log = structlog.get_logger()

STOP_SECONDS = 4
"""How long open requests may take to end after a signal."""
SPINS = "10000"
"""Rounds that a thread of OpenMP waits busily for the others. With the default, some 30 times as
many, two threads on two cores that others need too generate ten times slower."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(
    own: EngineSettings,
    served: Served,
    *,
    tell: Callable[[str], None] | None = None,
    lease: Lease | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    tell: given the address once requests are answered, when somebody started this as a child.
    lease: says when it ends by itself; a child without one stops when standard input ends, that
    is when its parent is gone.
    Raises PortInUse, ModelError, SettingsError or HomeNotWritable.
    """
    prefer(GOMP_SPINCOUNT=SPINS)  # read when the libraries are loaded, further down
    for number in _SIGNALS:
        signal.signal(number, lambda *_: sys.exit(0))  # until the loop takes them over
    with _bind(own.host, own.port) as listener:
        text, embedder = _load(own, served)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(own, served, (text, embedder), listener, tell, lease))


def _bind(host: str, port: int) -> socket.socket:
    """A socket that is ours already, before the models are loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sends without delay only on sockets that say TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except socket.gaierror as error:
        listener.close()
        raise SettingsError("engine.host / --host", host, "is no address") from error
    except OSError as error:
        listener.close()
        raise PortInUse(host, port, "engine.port / --port") from error
    return listener


def _load(own: EngineSettings, served: Served) -> tuple[TextModel | None, Embedder | None]:
    """Load both models at the same time."""
    embedders: list[Embedder] = []
    failures: list[ModelError] = []

    def load_embedder(folder: str) -> None:
        try:
            embedders.append(Embedder(Path(folder), threads=own.threads))
        except ModelError as error:
            failures.append(error)

    loading = None
    if served.embedding_folder:
        loading = threading.Thread(target=load_embedder, args=(served.embedding_folder,))
        loading.start()
    text = None
    try:
        if served.text_file:
            path = Path(served.text_file)
            kind = TorchModel if path.is_dir() else Llama
            text = kind(path, slots=own.slots, context=own.context, threads=own.threads)
    finally:
        if loading:
            loading.join()  # also after a failure: libraries cannot be imported while Python ends
    if served.embedding_folder and not embedders:
        raise failures[0] if failures else ModelError(f"{served.embedding_folder} does not load")
    return text, embedders[0] if embedders else None


async def _serve(
    own: EngineSettings,
    served: Served,
    models: tuple[TextModel | None, Embedder | None],
    listener: socket.socket,
    tell: Callable[[str], None] | None,
    lease: Lease | None,
) -> None:
    """Serve in this loop until it is told to stop."""
    app = await build(own, served, *models)
    config = uvicorn.Config(
        lease.around(app) if lease else app,
        http="httptools",  # a token costs less than with the other
        log_config=None,
        access_log=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    host = f"[{own.host}]" if ":" in own.host else own.host
    url = f"http://{host}:{listener.getsockname()[1]}"

    def opened() -> None:
        log.info("engine.ready", url=url, model=served.text_model)
        if lease:
            lease.begin(url)
        if tell:
            tell(url)

    server = _Server(config, opened)
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, server.stop)
    if lease:
        ending = loop.create_task(lease.ended())
        ending.add_done_callback(lambda _: server.stop())
    elif tell:
        threading.Thread(target=_watch_parent, args=(loop, server.stop), daemon=True).start()
    try:
        await server.serve([listener])
    finally:
        if lease:
            lease.end()
    log.info("engine.stopped")


class _Server(uvicorn.Server):
    """Says when it listens, and leaves the signals to us."""

    def __init__(self, config: uvicorn.Config, opened: Callable[[], None]) -> None:
        super().__init__(config)
        self._opened = opened

    def stop(self) -> None:
        """Stop: open requests get a little time, then the models are closed."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the door and say so."""
        await super().startup(sockets)
        self._opened()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: the handlers are set where the loop is."""
        yield


def _watch_parent(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Stop when standard input ends; nobody writes to it any more."""
    with suppress(OSError):
        while os.read(sys.stdin.fileno(), 1024):
            pass
    with suppress(RuntimeError):  # the loop has ended by itself
        loop.call_soon_threadsafe(stop)
