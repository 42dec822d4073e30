"""Signed nonsense: fields that are missing, of another type, or somebody else's."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from integrations.slack.app import _report
from llmasos.errors import ChannelUnavailable
from llmasos.jobs import Jobs
from tests.unit.slack.conftest import Door

WRONG: tuple[Any, ...] = (None, "", 7, [], {}, "C1/../../x", ["a"], {"id": 7})
PRESS = {
    "type": "block_actions",
    "user": {"id": "U0ANN", "team_id": "T0TEAM"},
    "team": {"id": "T0TEAM"},
    "channel": {"id": "C0GENERAL"},
    "message": {"ts": "1760000000.000100"},
    "container": {"type": "message"},
    "actions": [{"action_id": "llmasos_job_cancel", "value": "x", "type": "button"}],
    "trigger_id": "t",
}
SHORTCUT = {
    "type": "message_action",
    "callback_id": "llmasos_ask_about",
    "user": {"id": "U0ANN"},
    "team": {"id": "T0TEAM"},
    "channel": {"id": "C0GENERAL"},
    "message": {"ts": "1760000000.000100", "text": "hi"},
    "trigger_id": "t",
}
SUBMISSION = {
    "type": "view_submission",
    "user": {"id": "U0ANN"},
    "team": {"id": "T0TEAM"},
    "view": {"id": "V1", "callback_id": "llmasos_ask_about", "private_metadata": "{}"},
}
COMMAND = {
    "command": "/ask",
    "text": "",
    "user_id": "U0ANN",
    "team_id": "T0TEAM",
    "channel_id": "C0GENERAL",
    "trigger_id": "t",
    "response_url": "http://169.254.169.254/",
}
EVENTS: list[dict[str, Any]] = [
    {"type": "message", "subtype": "message_changed", "channel": "C0GENERAL", "message": {}},
    {"type": "message", "subtype": "message_deleted", "channel": "C0GENERAL", "deleted_ts": "1.1"},
    {"type": "agent_session_stopped", "channel": "C0GENERAL", "thread_ts": "1.1", "user": "U0ANN"},
    {"type": "app_context_changed", "context": {"entities": [{}]}, "user": "U0ANN"},
    {"type": "app_home_opened", "tab": "messages", "user": "U0ANN", "channel": "D0ANN"},
]


def changed(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The body with each of its fields missing, and of each wrong kind."""
    for name in whole:
        yield {key: value for key, value in whole.items() if key != name}
    for name, wrong in itertools.product(whole, WRONG):
        yield {**whole, name: wrong}


@pytest.mark.parametrize("whole", [PRESS, SHORTCUT, SUBMISSION], ids=lambda each: each["type"])
def test_no_interaction_breaks_the_edge(door: Door, jobs: Jobs, whole: dict[str, Any]) -> None:
    answers = {door.form(payload=json.dumps(body)) for body in changed(whole)}

    assert answers <= {200, 400}
    assert jobs.list() == []


def test_no_command_breaks_the_edge(door: Door, jobs: Jobs) -> None:
    answers = {
        door.form(**{name: value for name, value in body.items() if isinstance(value, str)})
        for body in changed(COMMAND)
    }

    assert answers <= {200, 400}
    assert {job.request.text for job in jobs.list()} <= {"C1/../../x"}


def test_no_event_breaks_the_edge(door: Door, jobs: Jobs) -> None:
    answers = {door.event(**body) for whole in EVENTS for body in changed(whole)}

    assert answers <= {200, 400}
    assert jobs.list() == []


def test_what_goes_wrong_with_an_event_is_logged_without_its_text() -> None:
    with structlog.testing.capture_logs() as lines:
        asyncio.run(_report(KeyError("the text of a message")))
        asyncio.run(_report(ChannelUnavailable("slack", "it does not answer")))

    logged = [line["error"] for line in lines if line["log_level"] == "error"]
    assert logged[0] == ""
    assert "it does not answer" in logged[1]
