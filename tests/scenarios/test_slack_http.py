"""Slack over HTTP: `llmasos up` with a signing secret and no app token, against the stand-in."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from llmasos.testing.slack import SlackStandIn
from llmasos.testing.slack.signing import signed_headers

AGENTS = """
from llmasos import Reply, agent

@agent("echo", "Says it again.")
def echo(turn):
    yield Reply(text=f"echo: {turn.text}")
"""


@pytest.fixture(scope="module")
def sender() -> Iterator[SlackStandIn]:
    """A Slack of its own: it sends its events over HTTP."""
    with SlackStandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def up(make_up: Callable[..., Any], sender: SlackStandIn) -> Iterator[Any]:
    """A system that Slack sends its events to."""
    made = make_up(agents=AGENTS, with_slack=False)
    with (made.folder / "llmasos.toml").open("a") as lines:
        lines.write(
            f'[slack]\nbot_token = "{sender.bot_token}"\napi_url = "{sender.api_url}"\n'
            f'signing_secret = "{sender.signing_secret}"\nupdate_interval = 0.1\n'
        )
    made.start()
    made.ready()
    sender.send_events_to(made.running.web_url + "/slack/events")
    yield made
    made.stop()


@pytest.fixture
def door(up: Any) -> str:
    """Where Slack's events go."""
    return str(up.running.web_url + "/slack/events")


def the_answer(sender: SlackStandIn, channel: str, ts: str) -> str:
    """The one answer to a message."""
    sender.wait(lambda: sender.answers(channel, ts), seconds=30)
    (answer,) = sender.answers(channel, ts, final=False)
    return answer.shown


def jobs(up: Any) -> int:
    return len(up.http("GET", "/v1/jobs").json()["jobs"])


def post(door: str, body: bytes, **headers: str) -> httpx.Response:
    signed = signed_headers(body, SlackStandIn.signing_secret)
    return httpx.post(door, content=body, headers={**signed, **headers})


def test_a_mention_and_a_direct_message_are_answered(up: Any, sender: SlackStandIn) -> None:
    in_channel = sender.say("C1", "echo: one")
    alone = sender.dm("echo: two")

    answers = the_answer(sender, "C1", in_channel), the_answer(sender, sender.im(), alone)

    assert answers == ("echo: one", "echo: two")
    assert "slack" not in up.running.pids
    sender.wait(lambda: all(each.acknowledged for each in sender.deliveries), seconds=30)
    assert [each.answers for each in sender.deliveries] == [[200]] * len(sender.deliveries)
    assert max(each.seconds[0] for each in sender.deliveries) < 3


def test_an_event_that_comes_again_makes_one_job(up: Any, sender: SlackStandIn, door: str) -> None:
    before = jobs(up)
    ts = sender.say("C2", "echo: once")
    (mention,) = [
        each.event
        for each in sender.deliveries
        if each.event.get("ts") == ts and each.event["type"] == "app_mention"
    ]

    again = [sender.deliver(mention, door) for _ in range(3)]

    assert again == [200, 200, 200]
    assert the_answer(sender, "C2", ts) == "echo: once"
    assert jobs(up) == before + 1


def test_slack_may_check_the_address(door: str) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1a", "token": "x"}).encode()

    answer = post(door, body)

    assert answer.status_code == 200
    assert answer.json() == {"challenge": "3eZbrw1a"}


def test_what_is_not_slacks_makes_no_job(up: Any, sender: SlackStandIn, door: str) -> None:
    before = jobs(up)
    event = {
        "type": "app_mention",
        "channel": "C3",
        "user": "U0ANN",
        "text": "<@U0BOT> echo: forged",
        "ts": sender.workspace.mint(),
    }
    body = json.dumps(sender.envelope(event)).encode()

    statuses = {
        "forged": sender.deliver(event, door, forged=True),
        "stale": sender.deliver(event, door, stale=True),
        "unsigned": httpx.post(door, content=body).status_code,
        "no number": post(door, body, **{"X-Slack-Request-Timestamp": "now"}).status_code,
        "infinite": post(door, body, **{"X-Slack-Request-Timestamp": "9" * 400}).status_code,
        "another body": httpx.post(
            door, content=body, headers=signed_headers(b"{}", sender.signing_secret)
        ).status_code,
        "huge": post(door, b'{"type": "' + b"x" * 20_000_000 + b'"}').status_code,
        "no JSON": post(door, b"\xff{").status_code,
        "no object": post(door, b"[1]").status_code,
    }

    assert statuses == {
        **dict.fromkeys(("forged", "stale", "unsigned", "no number", "infinite"), 401),
        "another body": 401,
        "huge": 413,
        "no JSON": 400,
        "no object": 400,
    }
    assert jobs(up) == before


@pytest.mark.parametrize("text", ["", "   ", "x" * 100_000], ids=["empty", "blank", "too long"])
def test_a_message_that_cannot_be_taken_is_told_so_once(
    up: Any, sender: SlackStandIn, door: str, text: str
) -> None:
    ts = sender.say("C4", text)
    sender.wait(lambda: [m for m in sender.messages("C4", ts) if sender.workspace.ours(m)])
    (mention,) = [
        each.event
        for each in sender.deliveries
        if each.event.get("ts") == ts and each.event["type"] == "app_mention"
    ]

    again = sender.deliver(mention, door)

    assert again == 200
    (told,) = [m for m in sender.messages("C4", ts) if sender.workspace.ours(m)]
    assert told.shown.startswith("⚠️ The message ")


def test_neither_secrets_nor_texts_are_in_the_log(up: Any, sender: SlackStandIn) -> None:
    ts = sender.say("C5", "echo: a very private matter")
    the_answer(sender, "C5", ts)

    log = up.log.read_text()

    assert "slack.received" in log
    assert "private matter" not in log
    for secret in (sender.bot_token, sender.signing_secret, up.running.broker_url):
        assert secret not in log
