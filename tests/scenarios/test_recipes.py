"""The recipes in the documentation, as they stand there: real agents, stand-ins at both ends."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from starlette.testclient import TestClient

from integrations.app import open_doors
from integrations.http_api.app import create_app
from llmasos.bus import MemoryBus
from llmasos.database import Database, migrate
from llmasos.settings import Settings
from llmasos.testing.callbacks import CallbackReceiver
from llmasos.testing.slack import SlackStandIn
from workers.app import inline
from workers.inline import InlineDispatcher, run_pending

PAGE = (Path(__file__).parents[2] / "docs/how-to/webhooks.md").read_text(encoding="utf-8")
SECRET = "a-secret-of-the-recipes"
ALERT = {
    "status": "firing",
    "groupLabels": {"job": "db"},
    "alerts": [{
        "status": "firing",
        "labels": {"alertname": "DiskFull", "severity": "critical", "host": "db-1"},
        "annotations": {"summary": "The disk of db-1 is full."},
        "startsAt": "2026-01-01T00:00:00Z",
    }],
}  # fmt: skip
ISSUE = {
    "action": "opened",
    "issue": {"number": 7, "title": "How long do refunds take?", "body": None},
    "repository": {"full_name": "acme/shop"},
    "sender": {"login": "ann"},
}


@pytest.fixture
def receiver() -> Iterator[CallbackReceiver]:
    with CallbackReceiver() as made:
        yield made


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as stand_in:
        yield stand_in


def recipe(name: str) -> str:
    """The configuration in the page that has this webhook."""
    blocks = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (found,) = (block for block in blocks if f'name = "{name}"' in block)
    return str(found)


@pytest.fixture
def deliver(
    make_settings: Callable[..., Settings], engine: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Sends a delivery through the web's door and does the job that it makes, as a worker would."""
    for variable in ("SLACK_BOT_TOKEN", "ALERTS_TOKEN", "CALLBACK_SECRET", "GITHUB_SECRET"):
        monkeypatch.setenv(variable, SECRET)

    def send(toml: str, path: str, body: bytes, headers: dict[str, str]) -> Any:
        settings = make_settings(
            f'[llm]\nurls = ["{engine.url}"]\napi_key = "{engine.key}"\n'
            f'[embedding]\nurl = "{engine.url}"\napi_key = "{engine.key}"\n{toml}'
        )
        with Database(settings.state_url) as database:
            migrate(database)
        dispatcher, bus = InlineDispatcher(), MemoryBus()
        doors = open_doors(settings, dispatcher, bus)
        parts, runner = inline(settings, dispatcher, bus)
        try:
            with TestClient(create_app(doors)) as web:
                answer = web.post(path, content=body, headers=headers)
            assert answer.status_code == 202, answer.text
            return run_pending(runner, doors.jobs, answer.json()["id"])
        finally:
            runner.drain(0)
            parts.close()
            doors.close()

    return send


@pytest.mark.timeout(600)
def test_an_alert_becomes_a_triage_message_in_a_channel(
    deliver: Callable[..., Any], slack: SlackStandIn
) -> None:
    channel = slack.workspace.channel("C0123ABCD")
    toml = recipe("alerts").replace("[slack]", f'[slack]\napi_url = "{slack.api_url}"', 1)
    toml = toml.replace("env:SLACK_BOT_TOKEN", slack.bot_token)
    toml += "[agents.writing]\nmax_new_tokens = 48\n"  # what it writes does not matter here

    job = deliver(toml, "/hooks/alerts", json.dumps(ALERT).encode(),
                  {"authorization": f"Bearer {SECRET}"})  # fmt: skip

    assert "[FIRING] critical: DiskFull\nThe disk of db-1 is full." in job.request.text
    assert job.status.finished  # what a small model writes, or fails to, is not the recipe's matter
    assert job.deliveries[0].state == "delivered"
    message, *_ = slack.messages(channel.id)
    assert message.text or message.blocks


@pytest.mark.timeout(600)
def test_an_issue_gets_an_answer_drafted_to_a_url(
    deliver: Callable[..., Any], receiver: CallbackReceiver
) -> None:
    url = f"http://127.0.0.1:{receiver.server_address[1]}/drafts"
    toml = recipe("issues").replace("https://bot.example.com/drafts", url)
    toml = toml.replace("[callbacks]", "[callbacks]\nallow_private = true", 1)
    body = json.dumps(ISSUE).encode()
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"x-github-event": "issues", "x-github-delivery": "72d3162e",
               "x-hub-signature-256": f"sha256={digest}"}  # fmt: skip

    job = deliver(toml, "/hooks/issues", body, headers)

    [(sent, answer)] = receiver.taken
    said = Webhook(SECRET.encode()).verify(answer, sent)
    assert (job.status, job.deliveries[0].state) == ("succeeded", "delivered")
    assert said["type"] == "job.succeeded"
    assert said["data"]["reply"]["text"] == job.reply.text
    assert said["data"]["webhook"] == {
        "name": "issues", "id": "72d3162e", "event": "issues.opened", "tag": "acme/shop#7",
    }  # fmt: skip
