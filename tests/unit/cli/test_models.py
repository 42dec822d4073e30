"""`llmasos models`: what a person sees and scripts read."""

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from integrations.cli.main import build
from llmasos.engine.library import ModelLibrary
from llmasos.errors import AliasRefused, ModelMissing, UnknownModel
from llmasos.settings import Settings

HEAD = b"GGUF" + struct.pack("<IQQ", 3, 0, 0)


@pytest.fixture
def settings(make_settings: Callable[..., Settings], home: Path) -> Settings:
    """A home with a library of its own."""
    (home / "models").unlink()
    return make_settings()


@pytest.fixture
def run(settings: Settings) -> Callable[..., Result]:
    """Runs `llmasos models …` in that home."""

    def models(*words: str) -> Result:
        command = build("models")
        return CliRunner().invoke(command, ["models", *words], obj=settings)

    return models


@pytest.fixture
def mine(tmp_path: Path, run: Callable[..., Result]) -> str:
    """A model of one's own, added and pulled: its NAME@REVISION."""
    path = tmp_path / "mine.gguf"
    path.write_bytes(HEAD)
    address = f"mine@{hashlib.sha256(HEAD).hexdigest()[:12]}"
    added = run("add", str(path), "--context", "512", "--licence", "MIT")
    assert address in added.stderr
    assert "fetched and verified" in run("pull", "mine").stderr
    return address


def plain(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.usefixtures("mine")
def test_the_list_says_what_is_here_and_what_it_takes(run: Callable[..., Result]) -> None:
    listed = plain(run("list", "--json"))
    [here] = plain(run("list", "--here", "--json"))
    table = run("list")

    assert len(listed) > 15
    assert (here["name"], here["bytes"], here["licence"]) == ("mine", len(HEAD), "MIT")
    assert "mine" in table.stdout
    assert "Here: 1, 0.0 MB on the disk" in table.stderr


def test_a_model_for_tgi_is_shown_with_how_to_serve_it(run: Callable[..., Result]) -> None:
    shown = run("show", "llama-3.1-8b-instruct").stdout

    assert "text-generation-launcher --model-id meta-llama/Llama-3.1-8B-Instruct" in shown
    assert "llama3.1" in shown
    assert "first pull" in shown


def test_verifying_exits_with_1_when_a_file_was_changed(
    run: Callable[..., Result], mine: str, settings: Settings
) -> None:
    assert run("verify").exit_code == 0

    ModelLibrary.of(settings).path(mine).write_bytes(b"changed")
    verified = run("verify", "--json")

    assert verified.exit_code == 1
    [found] = json.loads(verified.stdout)
    assert found["problems"][0]["file"] == "mine.gguf"


def test_a_promotion_says_what_it_changes_and_can_be_undone(
    run: Callable[..., Result], mine: str
) -> None:
    promoted = run("promote", "default", "mine")
    refused = run("rollback", "default")

    assert f"default → {mine}. No system runs here" in promoted.stderr
    assert isinstance(refused.exception, ModelMissing)  # what it would go back to is not here
    [move] = plain(run("history", "default", "--json"))
    assert (move["action"], move["model"]) == ("promoted", mine)
    assert "points at" in run("history", "default").stderr


@pytest.mark.usefixtures("mine")
def test_an_alias_that_is_not_served_is_told_so(run: Callable[..., Result]) -> None:
    promoted = run("promote", "writing-model", "mine")

    assert "set it to 'writing-model'" in promoted.stderr


def test_removing_an_entry_leaves_no_trace(
    run: Callable[..., Result], mine: str, settings: Settings
) -> None:
    removed = plain(run("remove", mine, "--entry", "--json"))

    assert removed == {"name": mine, "removed": True, "entry_removed": True}
    with pytest.raises(UnknownModel):
        ModelLibrary.of(settings).show("mine")


def test_an_unknown_alias_or_model_is_named_with_the_nearest(run: Callable[..., Result]) -> None:
    unknown = run("pull", "qwen3-8")
    nobody = run("history", "nobody")

    assert isinstance(unknown.exception, UnknownModel)
    assert "Did you mean 'qwen3-8b'" in str(unknown.exception)
    assert isinstance(nobody.exception, AliasRefused)
