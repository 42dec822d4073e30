"""What every test gets: no way out of this machine, no settings but its own, models found once."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import hypothesis
import pytest
import structlog

from llmasos.engine.launch import EngineProcess
from llmasos.errors import LLMasOSError
from llmasos.settings import Settings
from llmasos.settings import load as load_settings
from llmasos.testing.model_server import ModelServer

# A machine that is busy with other tests is not a strategy that is slow.
hypothesis.settings.register_profile(
    "beside others", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("beside others")

KEY = "the-engine-key"
MODELS = Path(os.environ.get("LLMASOS_HOME", ".llmasos")).resolve() / "models"
LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True)
def no_accidents(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forbid sockets beyond loopback, every setting from outside, and logs set up by others."""
    for name in list(os.environ):
        if name.startswith("LLMASOS_") or name.lower() in ("http_proxy", "https_proxy"):
            monkeypatch.delenv(name)
    # An engine that a test's command or program starts for itself is gone soon after the test. It
    # computes on one processor: two threads would wait for each other while other tests run.
    monkeypatch.setenv("LLMASOS_ENGINE__IDLE_SECONDS", "3")
    monkeypatch.setenv("LLMASOS_ENGINE__THREADS", "1")
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
            raise AssertionError(f"a test reached for {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def fetched_models() -> Path:
    """The models' folder that all tests share; not to be written."""
    return MODELS


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A fresh home that shares the fetched models."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "models").symlink_to(MODELS)
    return folder


@pytest.fixture
def make_settings(home: Path, tmp_path: Path) -> Callable[..., Settings]:
    """Settings as a `llmasos.toml` with this content gives them, over a fresh home."""

    def make(toml: str = "") -> Settings:
        path = tmp_path / "llmasos.toml"
        path.write_text(f"home = {str(home)!r}\n{toml}", encoding="utf-8")
        return load_settings(path)

    return make


@dataclass(frozen=True)
class Engine:
    """Where the tests' engine is."""

    url: str
    key: str
    pid: int


@pytest.fixture
def start_model_server() -> Iterator[Callable[..., ModelServer]]:
    """Starts stand-ins for model servers; `again` one at the address of one that was killed."""
    made: list[ModelServer] = []

    def start(
        name: str = "stand-in", kind: str = "tgi", again: ModelServer | None = None
    ) -> ModelServer:
        port = int(again.url.rpartition(":")[2]) if again else 0
        made.append(ModelServer(name, kind, port))
        return made[-1]

    yield start
    for server in made:
        server.kill()


@pytest.fixture(scope="session")
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A running engine with both models: one a run, however many processes run the tests."""
    shared = getattr(request.config, "workerinput", {}).get("engine")
    if shared:
        yield Engine(**_read(Path(shared)))
        return
    with _started(tmp_path_factory.mktemp("engine")) as running:
        yield Engine(running.url, KEY, running.pid)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Start the engine that pytest-xdist's processes share, while they collect the tests."""
    folder = Path(_shared.name)
    if not _starting:
        _starting.append(Thread(target=_share, args=(folder,), daemon=True))
        _starting[0].start()
    node.workerinput["engine"] = str(folder / "engine.json")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End it."""
    if _starting:
        _starting[0].join()
        for running in _running:
            running.stop()
        _shared.cleanup()


_shared = TemporaryDirectory(prefix="engine-of-tests-")
_starting: list[Thread] = []
_running: list[EngineProcess] = []


def _share(folder: Path) -> None:
    """Start the engine, and say where it is or why it is not."""
    try:
        _running.append(_started(folder))
        said = {"url": _running[0].url, "key": KEY, "pid": _running[0].pid}
    except LLMasOSError as error:
        said = {"error": str(error)}
    (folder / "engine.new").write_text(json.dumps(said))
    (folder / "engine.new").rename(folder / "engine.json")


def _read(path: Path) -> dict[str, Any]:
    """What `_share` said, once it has."""
    give_up = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < give_up, "the engine did not start"
        time.sleep(0.05)
    said: dict[str, Any] = json.loads(path.read_text())
    assert "error" not in said, said["error"]
    return said


def _started(folder: Path) -> EngineProcess:
    (folder / "models").symlink_to(MODELS)
    path = folder / "llmasos.toml"
    path.write_text(f"home = {str(folder)!r}\n[engine]\nthreads = 1\n", encoding="utf-8")
    return EngineProcess.start(load_settings(path), key=KEY)
