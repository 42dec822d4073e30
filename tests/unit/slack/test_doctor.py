import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from integrations.cli.slack import app
from integrations.slack.doctor import examine
from integrations.slack.manifest import SCOPES
from llmasos.settings import Settings
from llmasos.testing.slack import Fault, SlackStandIn

AGENTS = ("customer_service", "writing")


@pytest.fixture(autouse=True)
def permitted(slack: SlackStandIn) -> None:
    slack.scopes |= set(SCOPES)


def found(settings: Settings, channel: str | None = None) -> dict[str, str]:
    """What is wrong, by check; empty for what is well."""
    return {each.check: each.problem or "" for each in examine(settings, AGENTS, channel)}


def test_a_bot_that_runs_is_well(
    running: SlackStandIn, slack_settings: Callable[..., Settings]
) -> None:
    running.wait(lambda: running.connections == 1, 30)
    bound = slack_settings('[slack.channels.C0GENERAL]\nagent = "writing"', socket=True)

    wrong = found(bound, "C0GENERAL")

    assert wrong == dict.fromkeys(
        ("bot token", "permissions", "socket", "settings", "channel C0GENERAL", "round trip"), ""
    )
    assert running.messages("C0GENERAL") == []


@pytest.mark.parametrize(
    ("spoil", "check", "said"),
    [
        (
            lambda slack: setattr(slack, "bot_token", "xoxb-other"),
            "bot token",
            "SLACK__BOT_TOKEN",
        ),
        (lambda slack: slack.fail("auth.test", Fault.breaks()), "bot token", "does not answer"),
        (lambda slack: slack.scopes.discard("files:read"), "permissions", "files:read (reading"),
        (lambda slack: setattr(slack, "app_token", "xapp-other"), "socket", "connections:write"),
        (lambda slack: None, "socket", "not connected"),
        (lambda slack: slack.workspace.channel("C0SALES", joined=False), "channel C0SALES", "/inv"),
        (lambda slack: None, "settings", "slack.channels.C0SALES.agent names 'writting'"),
        (lambda slack: slack.workspace.channel("C0SALES", joined=False), "round trip", "/invite"),
    ],
)
def test_each_trouble_is_said_with_its_remedy(
    slack: SlackStandIn,
    slack_settings: Callable[..., Settings],
    spoil: Callable[[SlackStandIn], Any],
    check: str,
    said: str,
) -> None:
    settings = slack_settings('[slack.channels.C0SALES]\nagent = "writting"', socket=True)
    spoil(slack)

    assert said in found(settings, "C0SALES")[check]


def test_over_http_our_own_server_is_asked(slack_settings: Callable[..., Settings]) -> None:
    assert "nothing answers at" in found(slack_settings())["events"]


def test_the_command_prints_json_and_fails_when_something_is_wrong(
    slack_settings: Callable[..., Settings],
) -> None:
    result = CliRunner().invoke(
        app, ["doctor", "--json"], obj=slack_settings(socket=True), catch_exceptions=False
    )

    checks = {each["check"]: each for each in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert checks["bot token"]["problem"] is None
    assert "llmasos up" in checks["socket"]["problem"]


def test_without_a_token_the_first_step_is_named(make_settings: Callable[..., Settings]) -> None:
    assert "llmasos slack manifest" in found(make_settings())["bot token"]
