"""`llmasos jobs`: deciding on what waits, what is dead, what is due."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from integrations.cli.main import build
from llmasos.database import Database, migrate
from llmasos.errors import AlreadyDecided
from llmasos.events import Approval, Failure
from llmasos.generation import Usage
from llmasos.jobs import Jobs
from llmasos.request import Principal, Request
from llmasos.settings import JobSettings, Settings
from workers.claims import Claim, Claims
from workers.inline import InlineDispatcher
from workers.outcomes import Outcomes

TOML = """
[[schedules]]
name = "digest"
cron = "0 9 * * 1-5"
text = "What is new?"
agent = "customer_service"
timezone = "Europe/Berlin"
"""
Run = Callable[..., Any]


@pytest.fixture
def database(make_settings: Callable[..., Settings]) -> Iterator[Database]:
    with Database(make_settings(TOML).state_url) as made:
        migrate(made)
        yield made


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def invoke(*words: str) -> Any:
        config = str(tmp_path / "llmasos.toml")
        result = CliRunner().invoke(build("jobs"), ["--config", config, "jobs", *words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def claim(database: Database) -> Claim:
    """A job that a worker has."""
    jobs = Jobs(database, InlineDispatcher(), JobSettings(), ["echo"], [], lambda *_: True)
    jobs.submit(Request(agent="echo", text="hi", principal=Principal(id="slack:T:U1")))
    claim = Claims(database, "test", 60).take()
    assert claim is not None
    return claim


@pytest.fixture
def asking(database: Database, claim: Claim) -> str:
    """A job that asks whether it may pay."""
    question = Approval(question="May I pay 30 €?", payload={"cents": 3000})
    Outcomes(database).suspend(claim, "echo", question, Usage(), 3600)
    return claim.job.id


def test_what_is_asked_is_shown_with_what_it_is_about(run: Run, asking: str) -> None:
    shown = run("show", asking).stdout

    assert "May I pay 30 €?" in shown
    assert '{"cents": 3000}' in shown
    assert f"llmasos jobs approve {asking}" in shown
    assert "approval by asker" in run("list").stdout


@pytest.mark.parametrize("verb", ["approve", "decline"])
def test_it_is_decided_once(run: Run, asking: str, verb: str) -> None:
    decided = json.loads(run(verb, asking, "--json").stdout)

    assert (decided["status"], decided["approval"]) == ("queued", None)
    with pytest.raises(AlreadyDecided):
        run("approve", asking)


def test_the_dead_are_those_that_failed_for_good(
    run: Run, database: Database, claim: Claim
) -> None:
    failure = Failure(type="RetriesExhausted", message="It failed.")
    Outcomes(database).fail(claim, failure, Usage(), cancelled=False)

    listed = run("list", "--dead").stdout

    assert claim.job.id in listed
    assert "failed (RetriesExhausted)" in listed
    assert run("list", "--dead", "--status", "queued").exit_code == 2


def test_the_schedules_say_when_they_are_due(run: Run, database: Database) -> None:
    (schedule,) = json.loads(run("schedules", "--json").stdout)

    assert (schedule["name"], schedule["last_at"]) == ("digest", None)
    assert schedule["next_at"][11:16] in ("07:00", "08:00")  # nine o'clock in Berlin
    assert "never" in run("schedules").stdout
