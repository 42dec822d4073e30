"""Two workspaces add the app to one system, and each is answered by its own bot."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from llmasos.testing.slack import SlackStandIn

AGENTS = """
from llmasos import agent

@agent("echo", "Says it again.")
def echo(turn):
    yield f"You said: {turn.text}"
"""
TEAMS = ("T0EAST", "T0WEST")


@pytest.fixture
def sender() -> Iterator[SlackStandIn]:
    with SlackStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def up(make_up: Callable[..., Any], sender: SlackStandIn) -> Iterator[Any]:
    made = make_up(agents=AGENTS, with_slack=False)
    app = sender.directory
    with (made.folder / "llmasos.toml").open("a") as lines:
        lines.write(
            f'[slack]\nclient_id = "{app.client_id}"\nclient_secret = "{app.client_secret}"\n'
            f'signing_secret = "{sender.signing_secret}"\napi_url = "{sender.api_url}"\n'
            'default_agent = "echo"\n[slack.workspaces.T0EAST]\n[slack.workspaces.T0WEST]\n'
        )
    made.start()
    made.ready()
    sender.send_events_to(made.running.web_url + "/slack/events")
    yield made
    made.stop()


def add(up: Any, sender: SlackStandIn, team: str) -> None:
    """What a browser does to add the app."""
    begun = up.http("GET", "/slack/install")
    back = urlsplit(sender.directory.allow(begun.headers["location"], team))
    cookie = begun.headers["set-cookie"].partition(";")[0]
    ended = up.http("GET", f"{back.path}?{back.query}", headers={"Cookie": cookie})
    assert ended.status_code == 200, ended.text


def test_each_workspace_is_answered_by_its_own_bot_until_it_removes_the_app(
    up: Any, sender: SlackStandIn
) -> None:
    for team in TEAMS:
        add(up, sender, team)
    for team in TEAMS:
        with sender.at(team):
            ts = sender.say(f"C{team[1:]}", f"Hello {team}")
            alone = sender.dm("Hello")
            sender.wait(lambda ts=ts, team=team: sender.answers(f"C{team[1:]}", ts), 60)
            sender.wait(lambda alone=alone: sender.answers(sender.im(), alone), 60)
            [answer] = sender.answers(f"C{team[1:]}", ts, final=False)
        assert (answer.shown, answer.bot_id) == (f"You said: Hello {team}", f"B0BOT{team[1:]}")

    sender.remove_app("T0EAST")
    sender.wait(lambda: all(each.acknowledged for each in sender.deliveries), 60)
    jobs = len(up.http("GET", "/v1/jobs").json()["jobs"])
    with sender.at("T0EAST"):
        sender.say("C0EAST", "Still there?")
    sender.wait(lambda: all(each.acknowledged for each in sender.deliveries), 60)

    assert len(up.http("GET", "/v1/jobs").json()["jobs"]) == jobs
    assert "xoxb-" not in up.log.read_text()
