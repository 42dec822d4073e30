"""examples/plugin: a distribution that is found, and answers, through its entry point."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.catalog import load_catalog
from llmasos.events import Reply
from llmasos.settings import Settings
from llmasos.testing.engine import ScriptedEngine
from llmasos.testing.turns import make_turn, reply_of

PLUGIN = Path(__file__).parents[3] / "examples" / "plugin"
METADATA = "from setuptools.build_meta import *; prepare_metadata_for_build_wheel('site')"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plug-in as an installer leaves it: its module and its metadata on the path."""
    source = shutil.copytree(PLUGIN, tmp_path / "source")
    site = source / "site"
    site.mkdir()
    subprocess.run(
        [sys.executable, "-c", METADATA], cwd=source, check=True, capture_output=True, timeout=60
    )
    shutil.copy(source / "llmasos_dice.py", site)
    monkeypatch.syspath_prepend(str(site))


@pytest.mark.usefixtures("installed")
def test_the_plugin_answers_once_it_is_installed(make_settings: Callable[..., Settings]) -> None:
    dice = load_catalog(make_settings()).find("dice")

    reply = reply_of(make_turn(dice, "roll 2d1 please", ScriptedEngine()))

    assert reply == Reply(text="2d1: 1 + 1 = 2")


def test_the_plugin_is_as_short_as_is_said() -> None:
    code = (PLUGIN / "llmasos_dice.py").read_text(encoding="utf-8")

    assert len([line for line in code.splitlines() if line.strip()]) <= 15
