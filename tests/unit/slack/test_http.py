import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from integrations.slack.desk import Desk
from integrations.slack.http import PATH, slack_routes
from llmasos.errors import DatabaseUnavailable
from llmasos.jobs import Jobs
from llmasos.settings import Settings
from llmasos.testing.slack import SlackStandIn, signed_headers
from tests.unit.slack.conftest import Door


def test_a_mention_is_stored_before_it_is_acknowledged(door: Door, jobs: Jobs) -> None:
    status = door.mention("How long do refunds take?")

    [job] = jobs.list()
    assert (status, job.request.text) == (200, "How long do refunds take?")


def test_slacks_challenge_is_answered(door: Door) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "c1", "token": "t"}).encode()

    answer = door.http.post(
        PATH, content=body, headers=signed_headers(body, door.slack.signing_secret)
    )

    assert (answer.status_code, answer.json()) == (200, {"challenge": "c1"})


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Slack-Signature": "v0=" + "0" * 64},
        {"X-Slack-Signature": ""},
        {"X-Slack-Request-Timestamp": "yesterday"},
        {"X-Slack-Request-Timestamp": "-1"},
        {"X-Slack-Request-Timestamp": "9" * 40},
        {"X-Slack-Request-Timestamp": ""},
    ],
    ids=str,
)
def test_a_forged_request_is_refused(door: Door, jobs: Jobs, headers: dict[str, str]) -> None:
    body = json.dumps(door.slack.envelope({"type": "app_mention"})).encode()

    assert door.post(body, **headers) == 401
    assert jobs.list() == []


def test_a_signature_in_other_letters_is_refused(door: Door) -> None:
    headers = signed_headers(b"{}", door.slack.signing_secret)
    raw = {**headers, "X-Slack-Signature": "v0=é".encode()}

    assert door.http.post(PATH, content=b"{}", headers=raw).status_code == 401


@pytest.mark.parametrize("age", [301, -330])
def test_a_stale_signature_is_refused(door: Door, age: int) -> None:
    headers = signed_headers(b"{}", door.slack.signing_secret, at=time.time() - age)

    assert door.http.post(PATH, content=b"{}", headers=headers).status_code == 401


def test_another_body_under_a_good_signature_is_refused(door: Door) -> None:
    headers = signed_headers(b'{"a":1}', door.slack.signing_secret)

    assert door.http.post(PATH, content=b'{"a":2}', headers=headers).status_code == 401


@pytest.mark.parametrize("body", [b"\xff\xfe", b"{not json", b"[]", b""])
def test_a_signed_body_that_makes_no_sense_changes_nothing(
    door: Door, jobs: Jobs, body: bytes
) -> None:
    assert door.post(body) in (200, 400)
    assert jobs.list() == []


def test_a_huge_body_is_refused_unread(door: Door) -> None:
    assert door.post(b"x" * 1_000_001) == 413


@pytest.mark.parametrize(
    "event",
    [
        {"type": "user_change", "user": {"id": "U0ANN"}},
        {"type": "reaction_added", "user": "U0ANN"},
        {"type": "app_uninstalled"},
        {"type": "tokens_revoked", "tokens": {"bot": ["U0BOT"]}},
        {"type": "message", "subtype": "channel_join", "user": "U0ANN", "channel": "C0GENERAL"},
        {"type": "app_home_opened", "tab": "home", "user": "U0ANN", "channel": "D0ANN"},
        {},
    ],
    ids=lambda event: event.get("type", "nothing"),
)
def test_every_event_is_acknowledged(door: Door, jobs: Jobs, event: dict[str, Any]) -> None:
    assert door.event(**event) == 200
    assert jobs.list() == []


def test_too_many_events_are_acknowledged(door: Door) -> None:
    assert door.post(b'{"type": "app_rate_limited", "team_id": "T0TEAM"}') == 200


def test_a_mention_its_twin_and_a_retry_make_one_job(door: Door, jobs: Jobs) -> None:
    twin = {"channel": "C0GENERAL", "user": "U0ANN", "team": "T0TEAM", "ts": "1760000000.000100"}

    answers = [
        door.event(type="message", channel_type="channel", text="<@U0BOT> Hi?", **twin),
        door.mention(),
        door.mention(),
    ]

    assert answers == [200, 200, 200]
    assert len(jobs.list()) == 1


def test_what_cannot_be_stored_is_not_acknowledged(
    make_door: Callable[..., Door],
    slack_settings: Callable[..., Settings],
    jobs: Jobs,
    broken: Any,
) -> None:
    door = make_door(slack_settings(), broken(DatabaseUnavailable("sqlite://", "is locked"), 1))

    first, second = door.mention(), door.mention()

    assert (first, second) == (500, 200)
    assert len(jobs.list()) == 1


def test_nothing_is_acknowledged_while_slack_does_not_say_who_we_are(
    slack: SlackStandIn, door: Door, jobs: Jobs
) -> None:
    slack.bot_token = "xoxb-another"

    first = door.mention()
    slack.bot_token = SlackStandIn.bot_token
    second = door.mention()

    assert (first, second, len(jobs.list())) == (500, 200, 1)


def test_a_message_that_cannot_be_taken_is_answered_once(door: Door, jobs: Jobs) -> None:
    ask = door.slack.workspace
    place = ask.channel("C0GENERAL")
    ts = door.slack.say("C0GENERAL", "word " * 100)
    fields = {"channel": place.id, "user": "U0ANN", "team": "T0TEAM", "ts": ts}
    text = "<@U0BOT> " + "word " * 100

    for kind in ("app_mention", "message", "app_mention"):
        assert door.event(type=kind, channel_type="channel", text=text, **fields) == 200

    door.slack.wait(lambda: [m for m in door.slack.messages("C0GENERAL", ts) if m.bot_id], 30)
    [notice] = [m for m in door.slack.messages("C0GENERAL", ts) if m.bot_id]
    assert "200" in notice.text
    assert notice.payload["final"] is True
    assert jobs.list() == []


def test_the_route_is_there_only_when_slack_sends_over_http(
    slack_settings: Callable[..., Settings], make_settings: Callable[..., Settings], desk: Desk
) -> None:
    assert slack_routes(make_settings(), desk) == []
    assert slack_routes(slack_settings(socket=True), desk) == []
