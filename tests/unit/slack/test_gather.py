"""What the worker asks of Slack before an agent begins: names, files, the thread before."""

from collections.abc import Callable
from typing import Any

import pytest

from integrations.slack.calls import Calls, sync_client
from integrations.slack.files import NO_PERMISSION, Files
from integrations.slack.gather import SlackSource
from integrations.slack.translate import to_request
from llmasos.channels import Gathered
from llmasos.request import Request
from llmasos.settings import Settings
from llmasos.testing.slack import Fault, SlackStandIn
from tests.unit.slack.test_translate import house

Gather = Callable[..., Gathered]


@pytest.fixture
def settings(slack_settings: Callable[..., Settings]) -> Settings:
    return slack_settings("max_file_bytes = 100000")


@pytest.fixture
def source(slack: SlackStandIn, settings: Settings) -> SlackSource:
    calls = Calls(sync_client(slack.bot_token, slack.api_url))
    return SlackSource(lambda _: calls, settings)


@pytest.fixture
def gather(slack: SlackStandIn, source: SlackSource) -> Gather:
    """Gathers for the message at a place."""
    for user, name in (("U0ANN", "Ann Lee"), ("U0BEN", "Ben")):
        slack.workspace.users[user]["profile"] = {"display_name": name}

    def of(channel: str, ts: str, begun: bool = False, **fields: Any) -> Gathered:
        message = slack.workspace.find(channel, ts)
        assert message is not None
        event = {**message.as_json(with_metadata=False), "type": "app_mention", "channel": channel}
        return source.gather(requested({**event, **fields}), begun)

    return of


def requested(event: dict[str, Any]) -> Request:
    made = to_request(event, house())
    assert made is not None
    return made


def read(
    slack: SlackStandIn, gather: Gather, *files: dict[str, Any], text: str = "Look"
) -> Request:
    """The request for a message with these files."""
    ts = slack.say("C0GENERAL", "Look")
    return gather("C0GENERAL", ts, files=list(files)).request


def test_people_are_called_by_their_names(slack: SlackStandIn, gather: Gather) -> None:
    ts = slack.say("C0GENERAL", "tell <@U0BEN> and <@U0NOBODY> hello")

    made = gather("C0GENERAL", ts).request
    gather("C0GENERAL", ts)

    assert made.text == "tell @Ben and @U0NOBODY hello"
    assert made.principal.name == "Ann Lee"
    assert len(slack.called("users.info")) == 3


def test_a_text_full_of_mentions_costs_few_calls(slack: SlackStandIn, gather: Gather) -> None:
    ts = slack.say("C0GENERAL", " ".join(f"<@U0P{number:04}>" for number in range(500)))

    assert "@U0P0499" in gather("C0GENERAL", ts).request.text
    assert len(slack.called("users.info")) == 21


def test_what_was_said_before_goes_along_once_as_others_words(
    slack: SlackStandIn, gather: Gather
) -> None:
    root = slack.say("C0GENERAL", "The build &lt;broke&gt;", user="U0BEN", mention=False)
    slack.say("C0GENERAL", "Ask <@U0BEN>", thread_ts=root, mention=False)
    slack.bot_says("C0GENERAL", "Build 7 failed", thread_ts=root)
    ts = slack.say("C0GENERAL", "why?", thread_ts=root)
    slack.say("C0GENERAL", "later", thread_ts=root, mention=False)

    earlier = gather("C0GENERAL", ts).earlier
    again = gather("C0GENERAL", ts, begun=True).earlier

    assert [(m.role, m.author, m.content) for _, m in earlier] == [
        ("user", "Ben", "The build <broke>"),
        ("user", "Ann Lee", "Ask @Ben"),
        ("user", "a bot", "Build 7 failed"),
    ]
    assert [at for at, _ in earlier] == sorted(at for at, _ in earlier)
    assert again == ()


def test_of_a_long_thread_its_beginning_and_its_end_are_taken(
    slack: SlackStandIn, gather: Gather
) -> None:
    root = slack.say("C0GENERAL", "first", mention=False)
    for number in range(300):
        slack.say("C0GENERAL", f"reply {number}", thread_ts=root, mention=False)
    ts = slack.say("C0GENERAL", "and?", thread_ts=root)

    said = [m.content for _, m in gather("C0GENERAL", ts).earlier]

    assert (len(said), said[0], said[1], said[-1]) == (20, "first", "reply 281", "reply 299")


def test_a_thread_that_slack_does_not_give_is_done_without(
    slack: SlackStandIn, gather: Gather
) -> None:
    root = slack.say("C0GENERAL", "first", mention=False)
    ts = slack.say("C0GENERAL", "and <@U0BEN>?", thread_ts=root)
    slack.fail("conversations.replies", Fault.limits(30))
    slack.fail("users.info", Fault.breaks(), Fault.resets(done=False))

    found = gather("C0GENERAL", ts)

    assert (found.request.text, found.earlier) == ("and @U0BEN?", ())


def test_a_message_that_is_asked_about_goes_along(
    slack: SlackStandIn, source: SlackSource, gather: Gather
) -> None:
    about = {"ts": "1760000000.000100", "user": "U0BEN", "text": "It broke"}
    address = "slack-command:C0ELSEWHERE/1760000000.000100?team=T0TEAM&user=U0ANN"
    request = Request(text="why?", reply_to=(address,), metadata={"about": about})

    [(_, said)] = source.gather(request, begun=False).earlier

    assert (said.author, said.content) == ("Ben", "It broke")


def test_the_channel_that_is_looked_at_is_data(slack: SlackStandIn, source: SlackSource) -> None:
    slack.workspace.users["U0BEN"]["profile"] = {"display_name": "Ben"}
    slack.say("C0SALES", "We sold two", user="U0BEN", mention=False)
    address = "slack:D0ANN/1760000000.000100?team=T0TEAM&user=U0ANN&dm=1"
    request = Request(text="Summarise this channel", reply_to=(address,))

    def viewed(channel: str) -> Any:
        asked = request.model_copy(update={"metadata": {"viewed": channel}})
        [attachment] = source.gather(asked, begun=True).request.attachments
        return attachment

    slack.workspace.channel("C0CLOSED", joined=False)
    assert viewed("C0SALES").text == "Ben: We sold two"
    assert "invite me" in viewed("C0CLOSED").unread


def test_files_are_read(slack: SlackStandIn, gather: Gather) -> None:
    table = slack.upload("prices.csv", b"plan,price\nbasic,5\n", "text/csv")
    note = slack.upload("note", "Grüße".encode(), "text/plain")
    page = slack.upload("page.html", b"<html><body><p>Refunds</p></body></html>", "text/html")

    made = read(slack, gather, table, note, page)

    prices, text, html = made.attachments
    assert ("basic" in prices.text, text.text, html.text.strip()) == (True, "Grüße", "Refunds")
    assert not any(each.unread for each in made.attachments)


def test_files_that_cannot_be_read_say_why(slack: SlackStandIn, gather: Gather) -> None:
    def why(file: dict[str, Any]) -> str:
        [attachment] = read(slack, gather, file).attachments
        assert attachment.text == ""
        return attachment.unread

    base = slack.api_url.removesuffix("/api/")
    small = slack.upload("a.txt", b"abc")
    assert "0.2 MB" in why(slack.upload("big.txt", b"x" * 200_000))
    assert "0.1 MB" in why({**slack.upload("big.txt", b"x" * 150_000), "size": None})
    assert "something else" in why({**small, "size": 5})
    assert "cannot be read" in why(slack.upload("tool.exe", b"MZ", "application/x-dosexec"))
    assert "404" in why({**small, "url_private_download": f"{base}/files/GONE"})
    assert why({**small, "url_private_download": f"{base}/files/REDIRECT"}) == NO_PERMISSION
    assert "not kept at Slack" in why({**small, "url_private_download": "http://127.0.0.1:9/a"})
    slack.scopes.remove("files:read")
    assert why(small) == NO_PERMISSION


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://files.slack.com/files-pri/T1-F1/a.txt", True),
        ("https://acme.slack.com/files/a.txt", True),
        ("http://files.slack.com/a.txt", False),
        ("https://files.slack.com:8443/a.txt", False),
        ("https://files.slack.com.evil.example/a.txt", False),
        ("https://evilslack.com/a.txt", False),
        ("https://user:pass@files.slack.com/a.txt", False),
        ("https://files.slack.com@evil.example/a.txt", False),
        ("file:///etc/passwd", False),
        ("https://[::1", False),
        ("", False),
    ],
)
def test_the_token_goes_to_slack_only(settings: Settings, url: str, allowed: bool) -> None:
    files = Files(Calls(sync_client("xoxb-1", "https://slack.com/api/")), settings)

    assert files.is_slacks(url) is allowed
