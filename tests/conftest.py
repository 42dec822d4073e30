"""What every test gets: no way out of this machine, no settings but its own, models found once."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmasos.engine.launch import EngineProcess
from llmasos.settings import Settings
from llmasos.settings import load as load_settings

MODELS = Path(os.environ.get("LLMASOS_HOME", ".llmasos")).resolve() / "models"
LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True)
def no_accidents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forbid sockets beyond loopback, and every setting from outside."""
    for name in list(os.environ):
        if name.startswith("LLMASOS_") or name.lower() in ("http_proxy", "https_proxy"):
            monkeypatch.delenv(name)
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
            raise AssertionError(f"a test reached for {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


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


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """A running engine with both models, started once."""
    folder = tmp_path_factory.mktemp("engine")
    (folder / "models").symlink_to(MODELS)
    path = folder / "llmasos.toml"
    path.write_text(f"home = {str(folder)!r}\n", encoding="utf-8")
    with EngineProcess.start(load_settings(path), key="the-engine-key") as running:
        yield running
