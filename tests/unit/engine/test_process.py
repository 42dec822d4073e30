"""The engine's process: what happens when a model cannot be loaded."""

import threading
from pathlib import Path
from typing import Any

import pytest

from llmasos.engine import process
from llmasos.engine.serving import Served
from llmasos.errors import ModelError
from llmasos.settings import EngineSettings


def test_the_other_model_has_loaded_before_a_damaged_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, loaded = threading.Event(), threading.Event()

    def damaged(*_: Any, **__: Any) -> None:
        told.set()
        raise ModelError("it is damaged")

    def slow(*_: Any, **__: Any) -> None:
        told.wait(30)
        loaded.set()

    monkeypatch.setattr(process, "Llama", damaged)
    monkeypatch.setattr(process, "Embedder", slow)

    with pytest.raises(ModelError, match="it is damaged"):
        process._load(EngineSettings(), Served("a", str(tmp_path / "a.gguf"), None, str(tmp_path)))

    assert loaded.is_set()
