"""Memory: a model that does not fit is named before it is loaded."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from llmasos.engine import serving, torch_model
from llmasos.engine.memory import available, card_is_here, require_memory, weights
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


def test_the_memory_of_the_card_counts_where_a_card_computes(tmp_path: Path) -> None:
    sparse(tmp_path / "model.safetensors", 4 << 30)
    (tmp_path / "config.json").write_text('{"torch_dtype": "float32"}')
    card = SimpleNamespace(
        cuda=SimpleNamespace(mem_get_info=lambda: (3 << 30, 24 << 30)),
        float32=SimpleNamespace(itemsize=4),
        bfloat16=SimpleNamespace(itemsize=2),
    )
    halved = torch_model._expansion(card, tmp_path, card.bfloat16)

    require_memory("fits", tmp_path, expansion=halved, free=torch_model._free(card, "cuda"))
    with pytest.raises(ModelTooLarge, match=r"needs about 4\.7 GB .* 3\.2 GB are free"):
        require_memory("whole", tmp_path, free=torch_model._free(card, "cuda"))

    assert torch_model._free(card, "mps") == pytest.approx(available(), rel=0.5)


def test_a_folder_that_goes_to_a_card_is_left_to_the_engine_to_weigh(
    make_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse(tmp_path / "model" / "model.safetensors", 1 << 42)
    (tmp_path / "model" / "config.json").write_text("{}")
    name = str(tmp_path / "model")
    with pytest.raises(ModelTooLarge):
        chosen(make_settings(), name, embeddings=False)

    monkeypatch.setattr(serving, "card_is_here", lambda: True)

    assert chosen(make_settings(), name, embeddings=False).text_file == name


def test_a_card_is_seen_among_the_devices(tmp_path: Path) -> None:
    assert not card_is_here(tmp_path)

    (tmp_path / "nvidia0").touch()

    assert card_is_here(tmp_path)


def test_an_engine_is_not_started_on_a_model_that_does_not_fit(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    path = sparse(tmp_path / "huge.gguf", 1 << 42)
    settings = make_settings(f"[llm]\nmodel = {str(path)!r}\n")

    with pytest.raises(ModelTooLarge, match="'huge' needs"):
        chosen(settings, None, embeddings=False)
