"""`llmasos webhooks`: the command line beside the real tables."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from integrations.app import Doors, open_doors
from integrations.cli.main import build
from integrations.webhooks.hooks import UnknownHook, load_hooks
from integrations.webhooks.intake import Intake
from integrations.webhooks.ledger import Ledger
from llmasos.bus import MemoryBus
from llmasos.database import Database, migrate
from llmasos.errors import InvalidRequest, UsageError
from llmasos.settings import Settings
from workers.inline import InlineDispatcher

CONFIGURATION = """
agents.load = ["./echo.py"]

[callbacks]
secret = "another-secret"

[[webhooks]]
name = "issues"
source = "github"
secret = "a-long-secret"
agent = "echo"
prompt = "Answer this: {{ event.text }}"
when = "event.kind == 'issues.opened'"
tag = "issue {{ body.issue.number }}"
reply_to = ["https://example.com/answers"]
"""
ECHO = """
from llmasos import agent

@agent("echo", "Says it again.")
def echo(turn):
    yield turn.text
"""
BODY = json.dumps({"action": "opened", "issue": {"number": 7, "title": "Broken\x1b"}}).encode()


def headers(body: bytes = BODY, event: str = "issues") -> dict[str, str]:
    digest = hmac.new(b"a-long-secret", body, hashlib.sha256).hexdigest()
    return {"x-hub-signature-256": f"sha256={digest}", "x-github-event": event,
            "x-github-delivery": "d-1"}  # fmt: skip


@dataclass
class Office:
    """A home with a webhook, and the command line there."""

    doors: Doors
    intake: Intake
    folder: Path

    def run(self, *words: str) -> Any:
        config = str(self.folder / "llmasos.toml")
        result = CliRunner().invoke(build("webhooks"), ["--config", config, "webhooks", *words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json").stdout)

    def try_out(self, *, body: bytes = BODY, **more: str) -> Any:
        path = self.folder / "payload.json"
        path.write_bytes(body)
        words = [f"--header={name.replace('_', '-')}: {value}" for name, value in more.items()]
        return self.run("test", "issues", "--payload", str(path), "--json", *words)


@pytest.fixture
def office(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[Office]:
    (tmp_path / "echo.py").write_text(ECHO)
    settings = make_settings(CONFIGURATION)
    with Database(settings.state_url) as database:
        migrate(database)
    doors = open_doors(settings, InlineDispatcher(), MemoryBus())
    ledger = Ledger(doors.database, settings.webhooks)
    yield Office(doors, Intake(load_hooks(settings, doors.catalog), doors.jobs, ledger), tmp_path)
    doors.close()


def test_the_webhooks_are_listed(office: Office) -> None:
    (shown,) = office.json("list")

    assert (shown["path"], shown["source"], shown["agent"]) == ("/hooks/issues", "github", "echo")
    assert "a-long-secret" not in office.run("list").output


def test_a_payload_is_tried_without_making_a_job(office: Office) -> None:
    shown = json.loads(office.try_out(**headers()).stdout)

    assert shown["accepted"] is shown["genuine"] is shown["passes_filter"] is True
    assert shown["sender_id"] == "d-1"
    assert shown["event"]["kind"] == "issues.opened"
    assert shown["prompt"] == "Answer this: Someone opened issue #7: Broken\x1b"
    assert (shown["agent"], shown["reply_to"]) == ("echo", ["https://example.com/answers"])
    assert shown["tag"] == "issue 7"
    assert office.doors.jobs.list() == []
    assert office.json("deliveries") == []


@pytest.mark.parametrize(("given", "genuine", "passes", "why"), [
    ({"x_github_event": "issues"}, None, True, None),
    ({"x_github_event": "issues", "x_hub_signature_256": "sha256=00"}, False, True, "does not fit"),
    ({"x_github_event": "push"}, None, False, "`when` is false"),
])  # fmt: skip
def test_a_try_says_at_which_step_a_delivery_would_fail(
    office: Office, given: dict[str, str], genuine: bool | None, passes: bool, why: str | None
) -> None:
    result = office.try_out(**given)

    shown = json.loads(result.stdout)
    assert (shown["genuine"], shown["passes_filter"]) == (genuine, passes)
    assert result.exit_code == (1 if why else 0)
    assert why is None or why in shown["reason"]


def test_a_try_with_what_is_no_json_says_so(office: Office) -> None:
    result = office.try_out(body=b"payload=%7B%7D", x_github_event="issues")

    assert result.exit_code == 1
    assert "choose application/json" in json.loads(result.stdout)["reason"]


def test_a_try_is_shown_to_people_without_what_steers_their_terminal(office: Office) -> None:
    (office.folder / "payload.json").write_bytes(BODY)

    words = ("test", "issues", "--payload", str(office.folder / "payload.json"))
    shown = office.run(*words, "--header", "X-GitHub-Event: issues").output

    assert "Answer this: Someone opened issue #7: Broken\n" in shown
    assert "genuine\tnot checked" in shown


def test_a_wrong_name_header_or_file_is_named(office: Office) -> None:
    office.try_out()
    payload = str(office.folder / "payload.json")

    with pytest.raises(UnknownHook, match="Did you mean 'issues'"):
        office.run("test", "isues", "--payload", payload)
    with pytest.raises(UsageError, match="--header"):
        office.run("test", "issues", "--payload", payload, "--header", "nonsense")
    with pytest.raises(UsageError, match="No such file"):
        office.run("test", "issues", "--payload", "gone.json")
    with pytest.raises(UsageError, match="--outcome"):
        office.run("deliveries", "--outcome", "lost")


def test_what_came_in_is_listed_and_delivered_again(office: Office) -> None:
    first = office.intake.take("issues", headers(), BODY)

    again = office.json("redeliver", "1")

    newest, oldest = office.json("deliveries", "issues")
    assert (oldest["sender_id"], oldest["outcome"]) == ("d-1", "accepted")
    assert oldest["job"] == first.job.id
    assert newest["job"] == again["id"] != first.job.id
    assert office.json("deliveries", "--outcome", "refused") == []
    assert "accepted" in office.run("deliveries").output


def test_what_is_filtered_still_makes_no_job_when_it_is_delivered_again(office: Office) -> None:
    office.intake.take("issues", headers(event="push"), BODY)

    with pytest.raises(InvalidRequest, match="made no job"):
        office.run("redeliver", "1")
