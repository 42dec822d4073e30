from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.slack.translate import House, readable, to_request
from llmasos.request import Request
from llmasos.settings import SlackSettings

MENTION = {
    "type": "app_mention",
    "user": "U0ANN",
    "text": "<@U0BOT> How long do refunds take?",
    "ts": "1760000000.000100",
    "channel": "C0123",
    "team": "T0TEAM",
    "event_ts": "1760000000.000100",
}
DM = {
    "type": "message",
    "channel_type": "im",
    "user": "U0ANN",
    "text": "How long do refunds take?",
    "ts": "1760000000.000200",
    "channel": "D0123",
    "client_msg_id": "m1",
}
IN_THREAD = {
    "type": "message",
    "channel_type": "channel",
    "user": "U0ANN",
    "text": "And abroad?",
    "ts": "1760000000.000300",
    "thread_ts": "1760000000.000100",
    "channel": "C0123",
    "team": "T0TEAM",
}


def house(takes_part: Callable[[str], bool] = lambda conversation: True, **settings: Any) -> House:
    chosen = SlackSettings.model_validate(settings)
    return House("T0TEAM", "U0BOT", chosen, ("writing", "customer_service"), takes_part)


def request(event: dict[str, Any], at: House | None = None) -> Request:
    made = to_request(event, at or house())
    assert made is not None
    return made


def test_a_mention_becomes_a_request_with_its_place() -> None:
    made = request(MENTION)

    assert made.text == "How long do refunds take?"
    assert made.agent == "auto"
    assert made.conversation == "slack:T0TEAM:C0123:1760000000.000100"
    assert made.idempotency_key == "slack:T0TEAM:C0123:1760000000.000100"
    assert made.order == 1760000000.0001
    assert made.reply_to == ("slack:C0123/1760000000.000100?team=T0TEAM&user=U0ANN",)
    assert made.principal.id == "slack:T0TEAM:U0ANN"
    assert (made.principal.team, made.principal.channel) == ("T0TEAM", "C0123")
    assert made.principal.member


def test_a_mention_and_its_twin_are_the_same_request() -> None:
    twin = {**MENTION, "type": "message", "channel_type": "channel", "client_msg_id": "m1"}

    assert to_request(twin, house()) == to_request(MENTION, house())


def test_a_direct_message_is_a_thread_of_its_own() -> None:
    made = request(DM)

    assert made.conversation == "slack:T0TEAM:D0123:1760000000.000200"
    assert made.reply_to == ("slack:D0123/1760000000.000200?team=T0TEAM&user=U0ANN&dm=1",)


def test_a_reply_belongs_to_the_conversation_of_its_thread() -> None:
    made = request({**IN_THREAD, "text": "<@U0BOT> And abroad?"})

    assert made.conversation == request(MENTION).conversation
    assert made.idempotency_key == "slack:T0TEAM:C0123:1760000000.000300"


@pytest.mark.parametrize(
    ("there", "settings", "taken"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"follow_up": False}, False),
        (True, {"channels": {"C0123": {"follow_up": False}}}, False),
        (True, {"follow_up": False, "channels": {"C0123": {"follow_up": True}}}, True),
    ],
)
def test_a_thread_goes_on_without_a_mention_where_we_take_part(
    there: bool, settings: dict[str, Any], taken: bool
) -> None:
    made = to_request(IN_THREAD, house(lambda conversation: there, **settings))

    assert (made is not None) == taken


def test_people_who_talk_to_each_other_in_a_thread_are_left_alone() -> None:
    assert to_request({**IN_THREAD, "text": "<@U0BEN> what do you think?"}, house()) is None


def test_a_guest_of_another_workspace_is_no_member() -> None:
    made = request({**MENTION, "user_team": "T0GUEST"})

    assert made.principal.id == "slack:T0GUEST:U0ANN"
    assert not made.principal.member
    assert made.conversation == "slack:T0TEAM:C0123:1760000000.000100"
    assert "team=T0GUEST" in made.reply_to[0]


@pytest.mark.parametrize(
    ("text", "agent", "rest"),
    [
        ("<@U0BOT> writing: shorten this", "writing", "shorten this"),
        ("<@U0BOT> Writing : shorten this", "writing", "shorten this"),
        ("<@U0BOT> writing:缩短这段文字", "writing", "缩短这段文字"),
        ("<@U0BOT> Customer service: refunds?", "customer_service", "refunds?"),
        ("<@U0BOT> note: refunds?", "bound", "note: refunds?"),
        ("<@U0BOT> refunds?", "bound", "refunds?"),
    ],
)
def test_the_agent_is_named_bound_or_the_default(text: str, agent: str, rest: str) -> None:
    made = request({**MENTION, "text": text}, house(channels={"C0123": {"agent": "bound"}}))

    assert (made.agent, made.text) == (agent, rest)


def test_files_go_along_to_be_read_later() -> None:
    at = {"id": "F1", "url_private": "https://files.slack.com/a", "size": 3}
    files = [{"name": "bill\n.pdf", "mimetype": "application/pdf", **at}, {"id": "F2"}, "what"]

    made = request({**DM, "text": "", "subtype": "file_share", "files": files})

    assert [(each.name, each.media_type) for each in made.attachments] == [
        ("bill .pdf", "application/pdf"),
        ("a file", "application/octet-stream"),
    ]
    assert made.metadata["files"] == [
        {"id": "F1", "url": "https://files.slack.com/a", "size": 3},
        {"id": "F2", "url": "", "size": None},
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"bot_id": "B1"},
        {"subtype": "bot_message"},
        {"subtype": "message_changed"},
        {"subtype": "message_deleted"},
        {"subtype": ["file_share"]},
        {"user": "U0BOT"},
        {"user": "USLACKBOT"},
        {"user": None},
        {"hidden": True},
        {"edited": {"user": "U0ANN"}},
        {"type": "reaction_added"},
        {"channel": None},
        {"channel": "C0123/../x"},
        {"ts": None},
        {"ts": "now"},
        {"ts": 1760000000.1},
        {"thread_ts": "1; drop"},
        {"user": "U0ANN&dm=1"},
        {"team": "T1&user=U2"},
    ],
    ids=str,
)
def test_what_is_not_a_persons_message_makes_no_request(change: dict[str, Any]) -> None:
    try:
        made = to_request({**MENTION, **change}, house())
    except TypeError as error:
        raise AssertionError("a hostile event broke the translation") from error

    assert made is None


@given(
    st.dictionaries(
        st.sampled_from([*IN_THREAD, "bot_id", "subtype", "files", "user_team", "edited"]),
        st.none()
        | st.integers()
        | st.text()
        | st.lists(st.text())
        | st.dictionaries(st.text(), st.text()),
    )
)
def test_no_event_breaks_the_translation(change: dict[str, Any]) -> None:
    made = to_request({**DM, **change}, house())

    assert made is None or made.conversation


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("&amp;lt; stays", "&lt; stays"),
        ("see <https://a.example/x?y=1&amp;z=2>", "see https://a.example/x?y=1&z=2"),
        ("see <https://a.example/x|the page>", "see the page (https://a.example/x)"),
        ("<https://a.example|a.example>", "a.example"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("ask <@U0BEN> or <@U0BEN|ben>", "ask @U0BEN or @ben"),
        ("in <#C1|general> or <#C1>", "in #general or #C1"),
        ("<!here> <!subteam^S1|@team> <!channel>", "@here @team @channel"),
        ("<!date^1^{date}|today>", "today"),
        ("<@U0BOT> 你好", "你好"),
        ("<>", ""),
    ],
)
def test_text_reads_as_a_person_reads_it(text: str, plain: str) -> None:
    assert readable(text, "U0BOT") == plain
