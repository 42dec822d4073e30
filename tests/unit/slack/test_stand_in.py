"""The stand-in is as strict as Slack: what it lets pass, Slack would."""

from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from llmasos.testing.slack import Fault, SlackStandIn


@pytest.fixture
def web(slack: SlackStandIn) -> WebClient:
    slack.echo = False
    return WebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[], team_id="T0TEAM")


def refusal(call: Any, **arguments: Any) -> str:
    with pytest.raises(SlackApiError) as failed:
        call(**arguments)
    return str(failed.value.response["error"])


def test_a_wrong_token_is_refused(slack: SlackStandIn) -> None:
    web = WebClient("xoxb-wrong", base_url=slack.api_url)

    assert refusal(web.auth_test) == "invalid_auth"
    assert refusal(WebClient(None, base_url=slack.api_url).auth_test) == "not_authed"
    assert refusal(web.apps_connections_open, app_token=slack.bot_token) == "not_allowed_token_type"


def test_a_missing_scope_is_named(slack: SlackStandIn, web: WebClient) -> None:
    slack.scopes.clear()

    with pytest.raises(SlackApiError) as failed:
        web.chat_postMessage(channel="C0GENERAL", text="Hi")

    assert failed.value.response["needed"] == "chat:write"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({"text": "a", "markdown_text": "b"}, "markdown_text_conflict"),
        ({"markdown_text": "a" * 12_001}, "msg_too_long"),
        (
            {"text": "a", "blocks": [{"type": "markdown", "text": "a" * 12_001}]},
            "msg_blocks_too_long",
        ),
        ({"text": "a", "blocks": [{"type": "novel"}]}, "invalid_blocks"),
        ({"text": "a", "blocks": [{"type": "context", "elements": []}]}, "invalid_blocks"),
        ({"text": "a", "metadata": {"event_type": "x"}}, "invalid_metadata_format"),
        ({"text": "a", "thread_ts": "1.1"}, "thread_not_found"),
        ({"text": "a", "channel": "C0NOWHERE"}, "channel_not_found"),
    ],
)
def test_a_message_is_held_to_slacks_limits(
    web: WebClient, content: dict[str, Any], error: str
) -> None:
    assert refusal(web.chat_postMessage, **{"channel": "C0GENERAL", **content}) == error


def test_a_message_without_content_is_refused(web: WebClient) -> None:
    place = {"channel": "C0GENERAL"}

    assert refusal(web.api_call, api_method="chat.postMessage", json=place) == "no_text"


def test_an_update_takes_less_text_than_a_post(web: WebClient) -> None:
    ts = web.chat_postMessage(channel="C0GENERAL", text="a" * 4_001)["ts"]

    assert refusal(web.chat_update, channel="C0GENERAL", ts=ts, text="a" * 4_001) == "msg_too_long"


def test_a_stream_has_its_rules(slack: SlackStandIn, web: WebClient) -> None:
    place = {"channel": "C0GENERAL", "thread_ts": slack.say("C0GENERAL", "Hi?")}
    who = {"recipient_team_id": "T0TEAM", "recipient_user_id": "U0ANN"}

    assert refusal(web.chat_startStream, **place) == "missing_recipient_team_id"
    assert refusal(web.chat_startStream, **place, **who, metadata={}) == "invalid_arguments"

    here = {"channel": "C0GENERAL", "ts": web.chat_startStream(**place, **who)["ts"]}
    assert refusal(web.chat_update, **here, text="a") == "streaming_state_conflict"
    slack.workspace.stream_life = -1
    assert refusal(web.chat_appendStream, **here, markdown_text="a") == (
        "message_not_in_streaming_state"
    )
    others = {"channel": "C0GENERAL", "ts": place["thread_ts"]}
    assert refusal(web.chat_stopStream, **others) == "message_not_owned_by_app"


def test_a_thread_is_read_in_pages_with_metadata_only_when_asked_for(
    slack: SlackStandIn, web: WebClient
) -> None:
    root = slack.say("C0GENERAL", "Hi?")
    mark = {"event_type": "llmasos", "event_payload": {"job": "j"}}
    for word in ("one", "two", "three"):
        web.chat_postMessage(channel="C0GENERAL", thread_ts=root, text=word, metadata=mark)

    read = web.conversations_replies(channel="C0GENERAL", ts=root, limit=2)
    pages = [page["messages"] for page in read]
    marked = web.conversations_replies(channel="C0GENERAL", ts=root, include_all_metadata=True)

    assert [[m["text"] for m in page] for page in pages] == [
        ["<@U0BOT> Hi?", "one"],
        ["two", "three"],
    ]
    assert "metadata" not in pages[0][1]
    assert marked["messages"][1]["metadata"] == mark


def test_faults_come_in_order_and_then_all_is_well(slack: SlackStandIn, web: WebClient) -> None:
    slack.fail(
        "chat.postMessage", Fault.limits(7), Fault.says("fatal_error"), Fault.resets(done=True)
    )
    post = {"channel": "C0GENERAL", "text": "Hi"}

    with pytest.raises(SlackApiError) as limited:
        web.chat_postMessage(**post)
    second = refusal(web.chat_postMessage, **post)
    with pytest.raises(OSError, match=r"closed|reset"):
        web.chat_postMessage(**post)
    web.chat_postMessage(**post)

    assert limited.value.response.headers["Retry-After"] == "7"
    assert second == "fatal_error"
    assert [m.text for m in slack.messages("C0GENERAL")] == ["Hi", "Hi"]
