"""The command line's root: light, and plain about mistakes."""

import os
import stat
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from integrations.cli.main import COMMANDS, build, wanted_command
from llmasos.errors import UsageError
from llmasos.settings import load

RUN = CliRunner()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = RUN.invoke(build(name), [name, "--help"])

    assert result.exit_code == 0
    assert "Usage" in result.output


def test_help_lists_every_command_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['llmasos', '--help']\n"
        "from integrations.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "print([n for n in ('pydantic_settings', 'sqlalchemy', 'langchain_core', 'celery', 'rich')"
        " if n in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert [name for name in COMMANDS if f"  {name}" not in done.stdout] == []
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["ask", "hello"], "ask"),
        (["--config", "jobs", "chat"], "chat"),
        (["--config=x.toml", "jobs", "list"], "jobs"),
        (["--help"], None),
        ([], None),
    ],
)
def test_the_wanted_command_is_found_among_options(words: list[str], name: str | None) -> None:
    assert wanted_command(words) == name


def test_it_tells_its_version() -> None:
    result = RUN.invoke(build(None), ["--version"])

    assert result.exit_code == 0
    assert result.output == f"llmasos {version('llmasos')}\n"


def test_wrong_use_exits_with_2_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "llmasos.toml").write_text("[web]\nprot = 1\n")

    done = subprocess.run(
        [sys.executable, "-m", "integrations.cli.main", "settings"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("llmasos: Setting web.prot = 1: there is no such setting.")
    assert len(done.stderr.splitlines()) == 1


def test_init_writes_a_configuration_that_loads_and_keeps_its_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    first = RUN.invoke(build("init"), ["init"])
    second = RUN.invoke(build("init"), ["init"])

    settings = load()
    assert first.exit_code == 0, first.output
    assert stat.S_IMODE((tmp_path / "llmasos.toml").stat().st_mode) == 0o600
    assert settings.webhooks[0].name == "support-form"
    (secret,) = settings.webhooks[0].secret
    assert len(secret.get_secret_value()) > 30
    assert settings.agents.load == ("./my_agents/",)
    assert isinstance(second.exception, UsageError)


def test_settings_are_shown_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "llmasos.toml").write_text(
        "database_url = 'postgresql://u:hidden@h/db'\n[slack]\nbot_token = 'xoxb-hidden'\n"
    )

    shown = RUN.invoke(build("settings"), ["settings"]).output
    shown += RUN.invoke(build("settings"), ["settings", "--json"]).output

    assert "postgresql://u:***@h/db" in shown
    assert "hidden" not in shown


def test_a_hidden_package_is_named_before_anything_else(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "__init__.py").write_text("")

    done = subprocess.run(
        [sys.executable, "-m", "integrations.cli.main", "agents", "list"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert f"is hidden by another one at {tmp_path / 'agents'}" in done.stderr
