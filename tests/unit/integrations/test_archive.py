"""Backups of a whole installation: complete, checked, and put back only where nothing is lost."""

import io
import json
import os
import stat
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from integrations.archive import MANIFEST, back_up, restore
from integrations.cli.main import build
from knowledge import KnowledgeBase
from llmasos import system
from llmasos.database import Database, migrate
from llmasos.dump import is_empty
from llmasos.errors import BackupUnfit, InvalidRequest, SystemAlreadyRunning
from llmasos.jobs import Jobs
from llmasos.request import Request
from llmasos.settings import JobSettings, Settings, load
from llmasos.testing.retrieval import HashingEmbedder
from workers.inline import InlineDispatcher

ALIASES = '{"aliases": {}}'


def jobs_of(database: Database) -> Jobs:
    return Jobs(database, InlineDispatcher(), JobSettings(), ["echo"], ["test"], lambda *_: True)


@pytest.fixture
def make_home(tmp_path):
    """Settings over a home of its own, its models' folder too."""

    def make(name: str) -> Settings:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "llmasos.toml").write_text(f"home = {str(folder / 'home')!r}\n")
        return load(folder / "llmasos.toml")

    return make


@pytest.fixture
def full(make_home) -> Settings:
    """An installation with a job, a collection, an alias and a model of its own."""
    settings = make_home("full")
    with Database(settings.state_url) as database:
        migrate(database)
        jobs_of(database).submit(Request(agent="echo", text="a private matter"))
    page = settings.home / "page.md"
    page.write_text("# Page\n\nSome words.\n")
    base = KnowledgeBase(settings.knowledge_dir, HashingEmbedder(settings.embedding.model))
    base.add("Help.Center", [page])
    base.close()
    (settings.models_dir / ".records").mkdir(parents=True)
    (settings.models_dir / "aliases.json").write_text(ALIASES)
    (settings.models_dir / ".records" / "own@1.json").write_text("[]")
    (settings.home / "models.toml").write_text("# own\n")
    return settings


@pytest.fixture
def backup(full, tmp_path) -> Path:
    back_up(full, tmp_path / "all.backup")
    return tmp_path / "all.backup"


def held(settings: Settings) -> tuple[list[str], list[str]]:
    """The texts of the jobs, and the collections."""
    with Database(settings.state_url) as database:
        texts = [job.request.text for job in jobs_of(database).list()]
    base = KnowledgeBase.open(settings)
    return texts, base.collections()


def rewritten(backup: Path, change) -> Path:
    """A backup whose members went through a function: (name, content) → (TarInfo, content)."""
    made = backup.with_name("changed.backup")
    with tarfile.open(backup) as before, tarfile.open(made, "w") as after:
        for member in before:
            for info, content in change(member, before.extractfile(member).read()):
                info.size = len(content) if info.isreg() else 0
                after.addfile(info, io.BytesIO(content))
    return made


def test_all_that_is_kept_is_there_again_in_a_new_home(full, backup, make_home):
    other = make_home("other")

    contents = restore(other, backup)

    assert (contents.jobs, contents.collections) == (1, ("Help.Center",))
    assert held(other) == held(full) == (["a private matter"], ["Help.Center"])
    assert (other.models_dir / "aliases.json").read_text() == ALIASES
    assert (other.models_dir / ".records" / "own@1.json").read_text() == "[]"
    assert (other.home / "models.toml").read_text() == "# own\n"
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_nothing_is_left_beside_the_backup_or_in_the_home(backup, make_home):
    other = make_home("other")

    restore(other, backup)

    left = [*backup.parent.glob(".llmasos-*"), *other.home.glob(".llmasos-*")]
    assert left == []


def test_a_home_that_holds_something_is_restored_only_by_force(full, backup):
    with Database(full.state_url) as database:
        jobs_of(database).submit(Request(agent="echo", text="since then"))
    base = KnowledgeBase(full.knowledge_dir, HashingEmbedder(full.embedding.model))
    base.add("since-then", [full.home / "page.md"])
    base.close()

    with pytest.raises(InvalidRequest, match="--force"):
        restore(full, backup)
    assert len(held(full)[0]) == 2

    restore(full, backup, force=True)
    assert held(full) == (["a private matter"], ["Help.Center"])


def test_a_running_system_is_never_restored_into(full, backup, make_home):
    other = make_home("other")

    with system.hold(other.home), pytest.raises(SystemAlreadyRunning):
        restore(other, backup, force=True)

    with Database(full.state_url) as database, database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO leases VALUES ('worker:a', 'a', 9e9)")
    with pytest.raises(InvalidRequest, match="A worker is at work"):
        restore(full, backup, force=True)


def climbing(member, content):
    yield member, content
    if member.name == MANIFEST:
        yield tarfile.TarInfo("../outside"), b"x"


def linked(member, content):
    if member.name.startswith("state/jobs"):
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    yield member, content


def damaged(member, content):
    yield member, content.replace(b"private", b"pirated") if "jobs" in member.name else content


def without_jobs(member, content):
    if member.name != "state/jobs.jsonl":
        yield member, content


def twice(member, content):
    yield member, content
    if member.name == "state/jobs.jsonl":
        yield member, content


def of_the_future(member, content):
    if member.name == MANIFEST:
        content = json.dumps({**json.loads(content), "schema": "9999"}).encode()
    yield member, content


def listed_outside(member, content):
    """The manifest itself, which anybody can write, names a file outside."""
    if member.name == MANIFEST:
        said = json.loads(content)
        said["files"]["state/../../x"] = said["files"].pop("state/jobs.jsonl")
        content = json.dumps(said).encode()
    elif member.name == "state/jobs.jsonl":
        member.name = "state/../../x"
    yield member, content


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (climbing, "does not belong"),
        (linked, "does not belong"),
        (damaged, "is damaged"),
        (without_jobs, "is missing"),
        (twice, "does not belong"),
        (of_the_future, "schema '9999'"),
        (listed_outside, "does not belong"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_archive_that_is_not_as_it_was_made_changes_nothing(backup, make_home, change, said):
    other = make_home("other")
    before = set(backup.parent.iterdir())

    made = rewritten(backup, change)
    with pytest.raises(BackupUnfit, match=said):
        restore(other, made)

    assert set(backup.parent.iterdir()) == {*before, made}
    assert not (other.home / "knowledge").exists()
    with Database(other.state_url) as database:
        assert is_empty(database)


@pytest.mark.parametrize("keep", [0, 10, 3000], ids=["empty", "no tar", "cut off"])
def test_a_file_that_is_no_backup_is_said_to_be_none(backup, make_home, keep):
    os.truncate(backup, keep)

    with pytest.raises(BackupUnfit, match="Nothing was changed"):
        restore(make_home("other"), backup)


def test_the_commands_say_what_they_did(full, tmp_path, make_home):
    def run(settings, *words):
        config = ["--config", str(settings.file)]
        return CliRunner().invoke(build(words[0]), [*config, *map(str, words)])

    made = run(full, "backup", tmp_path / "b")
    again = run(make_home("other"), "restore", tmp_path / "b")

    assert (made.exit_code, again.exit_code) == (0, 0)
    assert "1 jobs, 1 collections" in made.stderr
    assert "1 jobs, 1 collections" in again.stderr
