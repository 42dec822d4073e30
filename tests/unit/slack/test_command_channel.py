import time
from collections.abc import Callable
from typing import Any

import pytest

from integrations.slack.command_channel import CommandChannel, command_channel
from llmasos.channels import Draft, Post, Turnover
from llmasos.errors import ChannelRefused, ChannelUnavailable
from llmasos.events import Citation, Failure, Reply
from llmasos.request import Principal, Request
from llmasos.settings import Settings
from llmasos.testing import MemoryPostJournal
from llmasos.testing.slack import Fault, SlackStandIn

Open = Callable[..., Post]


@pytest.fixture
def open_post(slack: SlackStandIn, slack_settings: Callable[..., Settings]) -> Open:
    """The post of a command's job."""
    channel = command_channel(slack_settings())
    assert isinstance(channel, CommandChannel)
    url = slack.response_url()

    def make(place: str = "C0GENERAL", journal: Any = None, response_url: str = url) -> Post:
        address = f"slack-command:{place}?team=T0TEAM&user=U0ANN"
        request = Request(
            text="How long do refunds take?",
            principal=Principal(id="slack:T0TEAM:U0ANN", name="Ann"),
            reply_to=(address,),
            metadata={"response_url": response_url},
        )
        turn = Turnover("job1", "writing", request, asked_at=time.time())
        return channel.open(address, turn, journal or MemoryPostJournal("job1"))

    return make


def test_where_the_bot_is_a_member_everybody_sees_question_and_answer(
    slack: SlackStandIn, open_post: Open
) -> None:
    post = open_post()

    post.show(Draft(status="Thinking …"))
    post.finish(Reply(text="14 days."))

    [message] = slack.messages("C0GENERAL")
    assert message.shown == "> Ann asked: How long do refunds take?\n\n14 days."
    assert slack.private_answers == []


def test_elsewhere_only_the_person_sees_the_answer(slack: SlackStandIn, open_post: Open) -> None:
    slack.workspace.channel("C0OTHER", joined=False)
    cited = Citation(source="refunds.md", title="Refunds", quote="14 days", score=0.9)

    for place in ("C0OTHER", "C0UNSEEN"):
        post = open_post(place)
        post.show(Draft(text="14"))
        post.finish(Reply(text="14 days <!channel>.", citations=(cited,)))

    first, second = slack.private_answers
    assert first == second
    assert (first["response_type"], first["replace_original"]) == ("ephemeral", False)
    assert "<!channel>" not in str(first)
    assert "[1] Refunds (refunds.md)" in str(first["blocks"])


def test_an_answer_that_was_brought_is_not_brought_again(
    slack: SlackStandIn, open_post: Open
) -> None:
    journal = MemoryPostJournal("job1")

    for _ in range(2):
        open_post("C0UNSEEN", journal).finish(Failure(type="X", message="It failed."))

    assert [each["text"] for each in slack.private_answers] == ["⚠️ It failed."]


def test_a_long_answer_ends_with_where_the_rest_is(slack: SlackStandIn, open_post: Open) -> None:
    open_post("C0UNSEEN").finish(Reply(text="word " * 12_000))

    *_, last = slack.private_answers
    assert len(slack.private_answers) == 4
    assert "/jobs job1" in last["blocks"][0]["text"]


def test_an_answer_that_comes_too_late_is_refused(slack: SlackStandIn, open_post: Open) -> None:
    post = open_post("C0UNSEEN")
    for sent in slack.workspace.responses.values():
        sent.extend([{}] * 5)

    with pytest.raises(ChannelRefused, match=r"30 minutes.*/jobs job1"):
        post.finish(Reply(text="14 days."))


@pytest.mark.parametrize(
    "url",
    ["", "http://127.0.0.1:9/x", "https://evil.example/", "https://hooks.slack.com@e.example/"],
)
def test_nothing_is_sent_to_an_address_that_is_not_slacks(open_post: Open, url: str) -> None:
    with pytest.raises(ChannelRefused, match="not in this channel"):
        open_post("C0UNSEEN", response_url=url)


def test_while_slack_does_not_say_where_the_bot_is_the_answer_waits(
    slack: SlackStandIn, open_post: Open
) -> None:
    slack.fail("conversations.info", Fault.limits(7))

    with pytest.raises(ChannelUnavailable) as caught:
        open_post()

    assert caught.value.retry_after == 7
