"""Memory: a model that does not fit is named before it is loaded."""

from collections.abc import Callable
from pathlib import Path

import pytest

from llmasos.engine.memory import available, require_memory, weights
from llmasos.engine.serving import chosen
from llmasos.errors import ModelTooLarge
from llmasos.settings import Settings


def sparse(path: Path, size: int) -> Path:
    """A file of a size that takes no room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    return path


def test_a_model_that_fits_may_be_loaded(tmp_path: Path) -> None:
    require_memory("small", sparse(tmp_path / "small.gguf", 1 << 20))

    assert available() > 1 << 20


def test_a_model_larger_than_the_memory_is_named_with_what_it_needs(tmp_path: Path) -> None:
    path = sparse(tmp_path / "huge.gguf", 1 << 42)

    with pytest.raises(ModelTooLarge, match=r"'huge' needs about 4837\.9 GB .* GB are free here"):
        require_memory("huge", path)


def test_all_parts_of_a_split_file_count(tmp_path: Path) -> None:
    first = sparse(tmp_path / "big-00001-of-00002.gguf", 1000)
    sparse(tmp_path / "big-00002-of-00002.gguf", 500)
    sparse(tmp_path / "other-00001-of-00001.gguf", 7)

    assert weights(first) == 1500


def test_the_weights_of_a_folder_count_and_may_grow_in_memory(tmp_path: Path) -> None:
    sparse(tmp_path / "model-00001-of-00002.safetensors", 300)
    sparse(tmp_path / "model-00002-of-00002.safetensors", 200)
    sparse(tmp_path / "tokenizer.json", 1 << 30)

    assert weights(tmp_path) == 500
    with pytest.raises(ModelTooLarge):
        require_memory("grown", tmp_path, expansion=1e12)


def test_an_engine_is_not_started_on_a_model_that_does_not_fit(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    path = sparse(tmp_path / "huge.gguf", 1 << 42)
    settings = make_settings(f"[llm]\nmodel = {str(path)!r}\n")

    with pytest.raises(ModelTooLarge, match="'huge' needs"):
        chosen(settings, None, embeddings=False)
