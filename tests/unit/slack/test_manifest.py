import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from slack_sdk.web import client as sdk
from typer.testing import CliRunner

from integrations.cli.slack import app
from integrations.slack import manifest as module
from integrations.slack.intake import HEARD
from integrations.slack.manifest import EVENTS, SCOPES, Wanted, manifest
from llmasos.errors import UsageError
from llmasos.settings import Settings
from llmasos.testing.slack.methods import METHODS

NEEDS = {name: scope for name, (_, scope) in METHODS.items() if scope}


def test_socket_mode_needs_no_address() -> None:
    made = manifest(Wanted("Helper", ["Shorten this text"]))

    assert made["settings"]["socket_mode_enabled"] is True
    assert "request_url" not in json.dumps(made)
    assert made["features"]["agent_view"]["suggested_prompts"][0]["message"] == "Shorten this text"


def test_over_http_events_and_buttons_go_to_our_route() -> None:
    url = "https://bot.example/slack/events"

    made = manifest(Wanted("Helper", url=url))["settings"]

    assert made["socket_mode_enabled"] is False
    assert made["event_subscriptions"]["request_url"] == url
    assert made["interactivity"]["request_url"] == url


def test_the_scopes_cover_every_method_that_the_code_calls() -> None:
    called = {
        node.attr
        for path in Path(module.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and hasattr(sdk.WebClient, node.attr)
    }
    used = {name for name in NEEDS if name.replace(".", "_") in called}

    needed = {NEEDS[name] for name in used if NEEDS[name] != "history"}

    assert {"chat.postMessage", "chat.startStream", "conversations.replies"} <= used
    assert needed <= set(SCOPES)
    assert {f"{kind}:history" for kind in ("channels", "groups", "im", "mpim")} <= set(SCOPES)


def test_the_events_are_those_that_are_heard() -> None:
    subscribed = {event.partition(".")[0] for event in EVENTS}

    assert subscribed == {*HEARD, "app_uninstalled", "tokens_revoked"}


@pytest.fixture
def run(make_settings: Callable[..., Settings]) -> Callable[..., object]:
    def call(toml: str, *words: str) -> object:
        return CliRunner().invoke(app, words, obj=make_settings(toml), catch_exceptions=False)

    return call


def test_the_command_prints_a_manifest_for_what_is_set(run: Callable[..., object]) -> None:
    result = run('[slack]\napp_token = "xapp-1"\n', "manifest", "--name", "Helper")

    made = json.loads(result.stdout)
    assert made["display_information"]["name"] == "Helper"
    assert made["settings"]["socket_mode_enabled"] is True


def test_the_command_makes_the_address_whole(run: Callable[..., object]) -> None:
    result = run("", "manifest", "--http", "https://bot.example/")

    events = json.loads(result.stdout)["settings"]["event_subscriptions"]
    assert events["request_url"] == "https://bot.example/slack/events"


@pytest.mark.parametrize(
    ("toml", "words", "said"),
    [
        ('[slack]\nsigning_secret = "s"\n', (), "--http https://YOUR-HOST"),
        ("", ("--http", "http://bot.example"), "begins with https://"),
        ("", ("--http", "https://b.example", "--socket"), "exclude each other"),
        ("", ("--name", "n" * 36), "36 characters"),
    ],
)
def test_a_manifest_that_would_not_work_is_not_printed(
    run: Callable[..., object], toml: str, words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        run(toml, "manifest", *words)


@pytest.mark.parametrize(
    ("toml", "said"),
    [("", r"slack\.bot_token"), ('[slack]\nbot_token = "xoxb-1"\n', r"slack\.app_token.*xapp-")],
)
def test_running_without_a_token_names_it(run: Callable[..., object], toml: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        run(toml, "run")


def test_an_app_that_workspaces_add_names_where_browsers_come_back(
    run: Callable[..., object],
) -> None:
    toml = '[slack]\nclient_id = "1.2"\nclient_secret = "s"\napp_token = "xapp-1"\n'

    made = json.loads(run(toml, "manifest", "--install", "https://bot.example").stdout)

    redirects = made["oauth_config"]["redirect_urls"]
    assert redirects == ["https://bot.example/slack/oauth_redirect"]
    assert made["settings"]["socket_mode_enabled"] is True
    with pytest.raises(UsageError, match="--install"):
        run(toml, "manifest")
