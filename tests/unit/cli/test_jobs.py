"""`llmasos jobs`: what was asked and what became of it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from integrations.cli.main import build
from llmasos.database import Database, migrate
from llmasos.errors import SchemaMismatch, UnknownJob, WrongJobState
from llmasos.events import Artifact, Citation, Reply
from llmasos.generation import Usage
from llmasos.jobs import Jobs
from llmasos.request import Request
from llmasos.settings import JobSettings, Settings
from workers.claims import Claims
from workers.inline import InlineDispatcher
from workers.outcomes import Outcomes

REPLY = Reply(
    text="Within 14 days.\x1b[31m",
    citations=(Citation(source="help/refunds.md", title="Refunds", quote="14 days", score=0.8),),
)


@dataclass
class Office:
    """A home with jobs in it, and the command line there."""

    database: Database
    jobs: Jobs
    config: Path

    def run(self, *words: str) -> Any:
        result = CliRunner().invoke(build("jobs"), ["--config", str(self.config), "jobs", *words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def submit(self, text: str) -> str:
        return self.jobs.submit(Request(agent="echo", text=text)).job.id

    def answer(self, reply: Reply = REPLY) -> None:
        claim = Claims(self.database, "test", 60).take()
        assert claim is not None
        Outcomes(self.database).succeed(claim, "echo", reply, Usage())


@pytest.fixture
def office(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[Office]:
    settings = make_settings()
    with Database(settings.state_url) as database:
        migrate(database)
        jobs = Jobs(database, InlineDispatcher(), JobSettings(), ["echo"], [], lambda *_: True)
        yield Office(database, jobs, tmp_path / "llmasos.toml")


def test_the_latest_jobs_come_first_each_on_a_line(office: Office) -> None:
    older, newer = office.submit("One\nline"), office.submit("Two " + "x" * 100)

    lines = office.run("list").stdout.splitlines()

    assert [line.split()[0] for line in lines] == ["ID", newer, older]
    assert "One line" in lines[2]
    assert "x" * 80 not in lines[1]


def test_scripts_get_the_jobs_as_json(office: Office) -> None:
    job = office.submit("How long?")

    listed = json.loads(office.run("list", "--json", "--status", "queued").stdout)
    shown = json.loads(office.run("show", job, "--json").stdout)

    assert [each["id"] for each in listed] == [job]
    assert shown == listed[0]


def test_a_job_is_shown_with_its_answer_and_sources(office: Office) -> None:
    job = office.submit("How long?")
    office.answer()

    shown = office.run("show", job).stdout

    assert "How long?" in shown
    assert "Within 14 days." in shown
    assert "[1] Refunds (help/refunds.md)" in shown
    assert "\x1b" not in shown


def test_a_job_is_cancelled_and_run_again(office: Office) -> None:
    job = office.submit("How long?")

    cancelled = office.run("cancel", job)
    retried = json.loads(office.run("retry", job, "--json").stdout)

    assert (cancelled.exit_code, cancelled.stdout) == (0, "")
    assert retried["status"] == "queued"
    with pytest.raises(WrongJobState):
        office.run("retry", job)


def test_a_job_that_is_not_there_is_said(office: Office) -> None:
    with pytest.raises(UnknownJob, match="llmasos jobs list"):
        office.run("show", "nope")


def test_a_home_without_a_schema_says_how_to_make_one(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    make_settings()

    result = CliRunner().invoke(
        build("jobs"), ["--config", str(tmp_path / "llmasos.toml"), "jobs", "list"]
    )

    assert isinstance(result.exception, SchemaMismatch)
    assert "llmasos migrate" in str(result.exception)


def test_the_files_of_an_answer_are_named_and_saved_and_overwrite_nothing(
    office: Office, tmp_path: Path
) -> None:
    job = office.submit("A note as a Word document.")
    files = (Artifact(name="../note.docx", data=b"PK\xff"), Artifact(name="note.docx", text="2"))
    office.answer(Reply(text="Here it is.", artifacts=files))

    told = office.run("show", job).stderr
    saved = office.run("show", job, "--save", str(tmp_path / "out")).stderr

    assert f"Files: note.docx, note.docx. `llmasos jobs show {job} --save .`" in told
    assert saved.count("Saved ") == 2
    assert (tmp_path / "out" / "note.docx").read_bytes() == b"PK\xff"
    assert (tmp_path / "out" / "note-2.docx").read_bytes() == b"2"
