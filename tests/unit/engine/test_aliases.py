"""Aliases: what a name means today, who changed it, and the way back."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llmasos.engine.aliases import Aliases
from llmasos.engine.library import ModelLibrary
from llmasos.errors import AliasRefused, ModelInUse, ModelMissing, SettingsError, UnknownModel

Models = Callable[..., Path]


@pytest.fixture
def library(models_with: Models, source: Path) -> ModelLibrary:
    """Two revisions of `tiny`, both here."""
    models_with(f"file:{source}", revision="1")
    library = ModelLibrary(models_with(f"file:{source}", revision="2"))
    library.pull("tiny@1")
    library.pull("tiny@2")
    return library


def test_default_points_somewhere_before_anybody_moves_it(tmp_path: Path) -> None:
    library = ModelLibrary(tmp_path / "models")

    assert library.show("default").name == "smollm2-135m-instruct"
    assert library.aliases.history("default") == []


def test_an_alias_means_the_revision_that_it_was_pointed_at(library: ModelLibrary) -> None:
    library.promote("writing-model", "tiny@1")

    assert library.path("writing-model") == library.path("tiny@1")
    [move] = library.aliases.history("writing-model")
    assert (move.action, move.model) == ("promoted", "tiny@1")
    assert "@" in move.by
    assert move.at.endswith("+00:00")


def test_another_process_sees_a_promotion_at_once(library: ModelLibrary) -> None:
    other = ModelLibrary(library.folder)
    before = other.show("default").address

    library.promote("default", "tiny@2")

    assert before != "tiny@2"
    assert other.show("default").address == "tiny@2"


def test_rolling_back_walks_along_what_was_promoted(library: ModelLibrary) -> None:
    built_in = library.show("default").address
    library.promote("default", "tiny@1")
    library.promote("default", "tiny@2")

    steps = [library.aliases.before("default")]
    library.aliases.roll_back("default", steps[0])
    steps.append(library.aliases.before("default"))

    assert steps == ["tiny@1", built_in]
    assert library.show("default").address == "tiny@1"


def test_a_rollback_needs_the_files_it_goes_back_to(library: ModelLibrary) -> None:
    library.promote("default", "tiny@1")

    with pytest.raises(ModelMissing, match="llmasos models pull smollm2-135m-instruct@"):
        library.rollback("default")

    assert library.show("default").address == "tiny@1"


def test_there_is_no_way_back_from_the_first(library: ModelLibrary) -> None:
    library.promote("mine", "tiny@1")

    with pytest.raises(AliasRefused, match="nothing before tiny@1"):
        library.rollback("mine")


def test_a_promotion_that_failed_is_taken_back_and_told(library: ModelLibrary) -> None:
    library.promote("mine", "tiny@1")
    library.promote("mine", "tiny@2")

    library.aliases.take_back("mine", "tiny@2", "tiny@1", "it is damaged")

    assert library.show("mine").address == "tiny@1"
    last = library.aliases.history("mine")[-1]
    assert (last.action, last.reason) == ("failed", "tiny@2 did not start: it is damaged")
    with pytest.raises(AliasRefused, match="nothing before"):
        library.aliases.before("mine")


def test_a_failure_does_not_undo_a_later_promotion(library: ModelLibrary) -> None:
    library.promote("mine", "tiny@1")
    library.promote("mine", "tiny@2")

    library.aliases.take_back("mine", "tiny@1", "smollm2@x", "too late")

    assert library.show("mine").address == "tiny@2"


def test_many_promotions_at_once_are_all_written_down(library: ModelLibrary) -> None:
    def move(number: int) -> None:
        ModelLibrary(library.folder).promote(f"alias-{number}", "tiny@1")

    threads = [threading.Thread(target=move, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert library.aliases.moved_to("tiny@1") == tuple(f"alias-{number}" for number in range(8))


@pytest.mark.parametrize(
    ("alias", "model", "reason"),
    [
        ("tiny", "smollm2-135m-instruct", "a model of the catalogue has that name"),
        ("search", "all-minilm-l6-v2", "embeds text"),
        ("No Name", "tiny@1", "small letters"),
        ("default", "smollm2-135m-instruct", "points at .* already"),
    ],
)
def test_an_alias_that_would_mislead_is_refused(
    library: ModelLibrary, alias: str, model: str, reason: str
) -> None:
    with pytest.raises(AliasRefused, match=reason):
        library.promote(alias, model, needed_here=False)

    assert not (library.folder / "aliases.json").exists()


def test_a_model_that_is_not_here_is_not_promoted_for_the_embedded_engine(
    models_with: Models, source: Path
) -> None:
    library = ModelLibrary(models_with(f"file:{source}"))

    with pytest.raises(ModelMissing, match="llmasos models pull tiny"):
        library.promote("default", "tiny")

    assert library.promote("default", "tiny", needed_here=False).address == "tiny@1"


def test_a_model_that_an_alias_needs_is_not_removed(library: ModelLibrary) -> None:
    library.promote("default", "tiny@1")

    with pytest.raises(ModelInUse, match="'default' points at"):
        library.remove("tiny@1")
    with pytest.raises(ModelInUse):
        library.remove("tiny")

    assert library.remove("tiny@2")


def test_an_unknown_name_is_told_the_aliases_too(library: ModelLibrary) -> None:
    with pytest.raises(UnknownModel, match="Did you mean 'default'"):
        library.show("defualt")


def test_the_history_of_no_alias_names_those_there_are(library: ModelLibrary) -> None:
    with pytest.raises(AliasRefused, match=r"there is none\. Known: default"):
        library.aliases.history("nobody")


def test_a_damaged_file_is_named_and_kept(library: ModelLibrary) -> None:
    path = library.folder / "aliases.json"
    path.write_text('{"aliases": {"default": [{"model": 1}]}}')

    with pytest.raises(SettingsError, match=r"aliases\.json.*Mend it"):
        library.promote("default", "tiny@1")

    assert json.loads(path.read_text())["aliases"]["default"] == [{"model": 1}]


def test_aliases_of_ones_own_may_be_declared(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "models.toml").write_text('[aliases]\nsmall = "smollm2-135m-instruct"\n')

    assert ModelLibrary(home / "models").show("small").name == "smollm2-135m-instruct"

    (home / "models.toml").write_text('[aliases]\nsmall = "smollm2-135m"\n')
    with pytest.raises(SettingsError, match=r"models\.toml.*Did you mean"):
        ModelLibrary(home / "models")


def test_an_alias_without_files_has_no_moves(tmp_path: Path) -> None:
    assert Aliases(tmp_path, {}).names() == ()
