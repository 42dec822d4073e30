"""Small models to pull: a home with a catalogue of its own, a wheel, and a stand-in for the Hub."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmasos.testing.hub import HubStandIn

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
    """Makes a home whose catalogue has the model `tiny`; gives its models folder.

    Called again it adds a revision.
    """

    def make(source: str, *, revision: str = "1", **changes: Any) -> Path:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        entry = {
            "name": "tiny",
            "kind": "generation",
            "revision": revision,
            "format": "gguf",
            "licence": "MIT",
            "size": len(CONTENT),
            "context": 64,
            "source": source,
            "files": {changes.pop("file", "tiny.gguf"): changes.pop("sha256", SHA256)},
            **changes,
        }
        files = entry.pop("files")
        lines = [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
        lines += [
            "[models.files]",
            *(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in files.items()),
        ]
        with (home / "models.toml").open("a", encoding="utf-8") as file:
            file.write("\n".join(["[[models]]", *lines]) + "\n")
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


@pytest.fixture
def hub() -> Iterator[HubStandIn]:
    """A running stand-in for the Hub with `tiny.gguf` in every repository."""
    with HubStandIn(files={"tiny.gguf": CONTENT}) as running:
        yield running
