"""What a channel promises, held by Slack's against a strict stand-in: one answer, in one place."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from integrations.slack.calls import Calls, sync_client
from integrations.slack.channel import SlackChannel
from integrations.slack.limits import Limits
from integrations.slack.post import Pace, SlackPost
from llmasos.channels import Draft, Turnover
from llmasos.errors import ChannelRefused, ChannelUnavailable, LeaseLost
from llmasos.events import Approval, Citation, Failure, Reply
from llmasos.rates import MemoryRates
from llmasos.request import Request
from llmasos.testing.jobs import MemoryPostJournal
from llmasos.testing.slack import Fault, Message, SlackStandIn

SETTLE = 0.3
QUICK = Pace(update_interval=0, stream_interval=0, settle_seconds=SETTLE)


class Scene:
    """A question in Slack, and the post of its answer."""

    def __init__(self, slack: SlackStandIn, dm: bool) -> None:
        self.slack, self.dm, self.pace = slack, dm, QUICK
        self.place = slack.im() if dm else "C0GENERAL"
        self.ask = slack.dm("Hi?") if dm else slack.say("C0GENERAL", "Hi?")
        tail = "?team=T0TEAM&user=U0ANN" + ("&dm=1" if dm else "")
        self.address = f"slack:{self.place}/{self.ask}{tail}"
        self.journal = MemoryPostJournal("job1")

    def post(self, journal: MemoryPostJournal | None = None) -> SlackPost:
        client = sync_client(self.slack.bot_token, self.slack.api_url)
        unhurried = Limits(MemoryRates(), "bot", minute=0.001)
        calls = Calls(client, unhurried)
        channel = SlackChannel(lambda _: calls, self.pace)
        request = Request(text="Hi?", order=float(self.ask), reply_to=(self.address,))
        turn = Turnover("job1", "writing", request, asked_at=time.time())
        return channel.open(self.address, turn, journal or self.journal)

    def taken_over(self) -> SlackPost:
        """The post as another worker finds it."""
        self.journal.attempt += 1
        return self.post()

    @property
    def answers(self) -> list[Message]:
        return self.slack.answers(self.place, self.ask, final=False)


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as stand_in:
        stand_in.redeliver_after()
        yield stand_in


@pytest.fixture(params=["channel", "dm"])
def scene(slack: SlackStandIn, request: pytest.FixtureRequest) -> Scene:
    return Scene(slack, dm=request.param == "dm")


@pytest.fixture
def in_channel(slack: SlackStandIn) -> Scene:
    return Scene(slack, dm=False)


@pytest.fixture
def in_dm(slack: SlackStandIn) -> Scene:
    return Scene(slack, dm=True)


def reply(text: str = "All is well.", **fields: Any) -> Reply:
    return Reply(text=text, **fields)


def buttons(scene: Scene) -> list[str]:
    """The words of the buttons under the last answer."""
    blocks = [block for block in scene.answers[-1].blocks if block["type"] == "actions"]
    return [element["text"]["text"] for block in blocks for element in block["elements"]]


# One answer


def test_an_answer_is_one_message_that_says_whose_it_is(scene: Scene) -> None:
    post = scene.post()
    post.show(Draft(status="Searching"))
    post.show(Draft(status="Writing", text="All is"))
    post.show(Draft(text="All is well"))

    post.finish(reply())

    [answer] = scene.answers
    assert answer.shown == "All is well."
    assert answer.payload == {"job": "job1", "part": 0, "final": True}
    assert "Answered by writing" in answer.small_print
    assert not answer.streaming
    assert [row.state for row in scene.journal.rows()] == ["closed"]


def test_finishing_twice_changes_nothing_that_is_seen(scene: Scene) -> None:
    scene.post().finish(reply())

    scene.taken_over().finish(reply())

    assert [answer.shown for answer in scene.answers] == ["All is well."]


def test_a_failure_takes_the_place_of_the_draft(scene: Scene) -> None:
    post = scene.post()
    post.show(Draft(text="I believe that"))

    post.finish(Failure(type="EngineUnavailable", message="The engine is down. Try again later."))

    [answer] = scene.answers
    assert answer.shown == "⚠️ The engine is down. Try again later."
    assert answer.payload["final"] is True


def test_sources_and_feedback_stand_below_the_answer(scene: Scene) -> None:
    cited = Citation(source="help/refunds.md#time", title="Refunds", quote="14 days", score=0.9)

    scene.post().finish(reply("Within 14 days [1].", citations=(cited,)))

    [answer] = scene.answers
    [feedback] = [block for block in answer.blocks if block["type"] == "context_actions"]
    assert "[1] Refunds (help/refunds.md#time)" in answer.small_print
    assert feedback["elements"][0]["positive_button"]["value"] == "good:job1"


def test_nobody_is_called_together_by_an_answer(scene: Scene) -> None:
    post = scene.post()
    evil = "Hello <!channel>, <!here> <!everyone> <@U0BEN> <!subteam^S1>"
    title = Citation(source="a<!here>.md", title="<!channel>", quote="", score=1)
    for end in range(1, len(evil)):
        post.show(Draft(text=evil[:end]))

    post.finish(reply(evil, citations=(title,)))

    sent = [call.arguments for call in scene.slack.calls]
    seen = "".join(str(a.get("markdown_text")) + str(a.get("text")) for a in sent)
    assert not any(mark in scene.answers[0].shown + seen for mark in ("<!", "<@"))
    assert all(
        element["type"] == "plain_text"
        for block in scene.answers[0].blocks
        if block["type"] == "context"
        for element in block["elements"]
    )


def test_a_restarted_answer_replaces_what_was_shown(scene: Scene) -> None:
    post = scene.post()
    post.show(Draft(text="The first try was wrong from the start"))
    post.show(Draft(text="Now"))

    post.finish(reply("Now it is right."))

    assert [answer.shown for answer in scene.answers] == ["Now it is right."]


def test_a_long_answer_goes_on_in_a_second_message_without_a_broken_code_block(
    scene: Scene,
) -> None:
    code = "```python\n" + "".join(f"line_{number} = {number}\n" for number in range(900)) + "```\n"
    text = "Here it is:\n\n" + code + "\nThat was all."
    post = scene.post()
    for end in range(0, len(text), 3_000):
        post.show(Draft(text=text[:end]))

    post.finish(reply(text))

    answers = scene.answers
    assert len(answers) == 2
    assert all(answer.shown.count("```") % 2 == 0 for answer in answers)
    assert all(len(answer.shown) <= 11_100 and answer.payload["final"] for answer in answers)
    joined = "".join(answer.shown for answer in answers)
    assert all(f"line_{number} = {number}\n" in joined for number in range(900))
    assert "Answered by" not in answers[0].small_print


def test_an_answer_that_became_shorter_leaves_no_second_message(in_channel: Scene) -> None:
    post = in_channel.post()
    post.show(Draft(text="word " * 4_000))
    seen = len(in_channel.answers)

    post.finish(reply("Short."))

    assert seen == 2
    assert [answer.shown for answer in in_channel.answers] == ["Short."]


# Crashes


def test_a_message_created_just_before_a_crash_is_adopted(in_channel: Scene) -> None:
    in_channel.slack.fail("chat.postMessage", Fault.resets(done=True))
    in_channel.post().show(Draft(status="Thinking"))

    in_channel.taken_over().finish(reply())

    assert [answer.shown for answer in in_channel.answers] == ["All is well."]
    assert in_channel.answers[0].updates == 1


def test_a_stream_begun_just_before_a_crash_is_adopted_and_replaced(in_dm: Scene) -> None:
    in_dm.slack.fail("chat.startStream", Fault.resets(done=True))
    in_dm.post().show(Draft(text="Half an ans"))

    in_dm.taken_over().finish(reply())

    assert [answer.shown for answer in in_dm.answers] == ["All is well."]
    assert not in_dm.answers[0].streaming


def test_another_jobs_stream_is_not_adopted(in_dm: Scene) -> None:
    in_dm.slack.fail("chat.startStream", Fault.resets(done=True))
    in_dm.post().show(Draft(text="The other job's"))
    theirs = in_dm.answers[0].ts
    mine = MemoryPostJournal("job1", others=[theirs])
    mine.begin(0, streaming=True)
    time.sleep(SETTLE)

    in_dm.post(mine).finish(reply())

    assert [answer.shown for answer in in_dm.answers] == ["The other job's", "All is well."]


def test_an_open_stream_is_taken_over_by_replacing_its_text(in_dm: Scene) -> None:
    in_dm.post().show(Draft(text="A first worker wrote this and di"))

    in_dm.taken_over().finish(reply())

    assert [answer.shown for answer in in_dm.answers] == ["All is well."]


def test_a_worker_that_lost_its_job_writes_nothing_more(scene: Scene) -> None:
    post = scene.post()
    post.show(Draft(text="All is"))
    calls = len(scene.slack.calls)
    scene.journal.lost = True

    with pytest.raises(LeaseLost):
        post.show(Draft(text="All is well"))
    with pytest.raises(LeaseLost):
        post.finish(reply())

    assert len(scene.slack.calls) == calls


@pytest.mark.parametrize("done", [True, False], ids=["created", "not created"])
def test_after_an_ambiguous_failure_there_is_exactly_one_answer(scene: Scene, done: bool) -> None:
    scene.slack.fail("chat.postMessage", Fault.breaks(done=done))
    with pytest.raises(ChannelUnavailable) as failed:
        scene.post().finish(reply())

    time.sleep(failed.value.retry_after)
    scene.taken_over().finish(reply())

    assert failed.value.retry_after == SETTLE
    assert [answer.shown for answer in scene.answers] == ["All is well."]


def test_a_message_that_may_still_appear_is_waited_for(in_channel: Scene) -> None:
    in_channel.pace = replace(QUICK, settle_seconds=60)
    in_channel.slack.fail("chat.postMessage", Fault.resets(done=False))
    with pytest.raises(ChannelUnavailable):
        in_channel.post().finish(reply())

    with pytest.raises(ChannelUnavailable) as failed:
        in_channel.taken_over().finish(reply())

    assert 0 < failed.value.retry_after <= 60
    assert in_channel.answers == []


def test_a_message_that_somebody_removed_is_written_again(in_channel: Scene) -> None:
    post = in_channel.post()
    post.show(Draft(status="Thinking"))
    in_channel.slack.workspace.channel("C0GENERAL").messages.pop()

    post.finish(reply())

    assert [answer.shown for answer in in_channel.answers] == ["All is well."]


# Streams


def test_a_status_is_shown_at_once_without_an_empty_message(in_dm: Scene) -> None:
    in_dm.post().show(Draft(status="Searching"))

    assert in_dm.slack.workspace.statuses[(in_dm.place, in_dm.ask)] == ["Searching"]
    assert in_dm.answers == []


def test_a_direct_message_is_streamed_to_the_person_who_asked(in_dm: Scene) -> None:
    post = in_dm.post()
    post.show(Draft(text="All "))

    post.finish(reply())

    [start] = in_dm.slack.called("chat.startStream")
    assert (start["recipient_team_id"], start["recipient_user_id"]) == ("T0TEAM", "U0ANN")
    assert [a["markdown_text"] for a in in_dm.slack.called("chat.appendStream")] == [" is well."]
    assert in_dm.slack.called("chat.update") == []


def test_an_old_stream_is_ended_and_the_answer_goes_on_in_another(in_dm: Scene) -> None:
    in_dm.pace = Pace(stream_interval=0, stream_seconds=0.05, settle_seconds=SETTLE)
    post = in_dm.post()
    post.show(Draft(text="The first part."))
    time.sleep(0.06)
    post.show(Draft(text="The first part. The second"))

    post.finish(reply("The first part. The second part."))

    assert [a.shown for a in in_dm.answers] == ["The first part.", " The second part."]
    assert [a.payload["final"] for a in in_dm.answers] == [True, True]


@pytest.mark.parametrize("how", ["died", "stopped by the person"])
def test_a_stream_that_ended_by_itself_is_updated_to_the_whole_answer(
    in_dm: Scene, how: str
) -> None:
    post = in_dm.post()
    post.show(Draft(text="All "))
    if how == "died":
        in_dm.slack.kill_streams()
    else:
        in_dm.slack.stop_as_user(in_dm.place, in_dm.answers[0].ts)
    post.show(Draft(text="All is"))

    post.finish(reply())

    assert [answer.shown for answer in in_dm.answers] == ["All is well."]


def test_a_session_rests_once_its_answer_is_there_streamed_or_not(in_dm: Scene) -> None:
    post = in_dm.post()
    post.show(Draft(status="Searching " + "x" * 200))
    in_dm.slack.fail("chat.startStream", Fault.says("channel_type_not_supported"))

    post.finish(reply())

    [shown] = in_dm.slack.called("assistant.threads.setStatus")
    assert in_dm.slack.workspace.sessions[in_dm.place, in_dm.ask]["status"] == "active"
    assert shown["status"].startswith("Searching")
    assert shown["loading_messages"][0] == ("Searching " + "x" * 200)[:50]


def test_where_there_are_no_sessions_the_status_is_cleared(in_dm: Scene) -> None:
    post = in_dm.post()
    post.show(Draft(status="Searching"))
    in_dm.slack.fail("chat.startStream", Fault.says("channel_type_not_supported"))
    in_dm.slack.fail("agents.sessions.setStatus", Fault.says("not_agent_app"))

    post.finish(reply())

    [_, cleared] = in_dm.slack.called("assistant.threads.setStatus")
    assert cleared["status"] == ""


def test_an_answer_in_the_making_can_be_stopped_and_a_finished_one_asked_again(
    in_channel: Scene,
) -> None:
    post = in_channel.post()
    post.show(Draft(status="Searching"))
    draft = buttons(in_channel)

    post.finish(reply())

    assert draft == ["Stop"]
    assert buttons(in_channel) == ["Try again"]


def test_a_failure_can_be_tried_again(scene: Scene) -> None:
    scene.post().finish(Failure(type="EngineUnavailable", message="The engine is down."))

    assert buttons(scene) == ["Try again"]


def test_what_a_job_waits_for_is_asked_with_buttons_and_makes_room_for_the_answer(
    scene: Scene,
) -> None:
    post = scene.post()
    post.show(Draft(text="I shall call"))
    post.finish(Approval(question="May I call refund(order=1) <!channel>?", to=("slack:T1:U1",)))
    [asked] = [answer.shown for answer in scene.answers]
    choice = buttons(scene)

    scene.taken_over().finish(reply())

    assert asked == "✋ May I call refund(order=1) <\u2060!channel>?"
    assert choice == ["Approve", "Decline"]
    assert [answer.shown for answer in scene.answers] == ["All is well."]


def test_a_code_block_that_the_model_left_open_is_closed(scene: Scene) -> None:
    scene.post().finish(reply("So:\n```python\nx = 1"))

    assert [answer.shown for answer in scene.answers] == ["So:\n```python\nx = 1\n```"]


def test_links_in_an_answer_are_honest_while_it_grows_and_in_the_end(scene: Scene) -> None:
    post = scene.post()
    evil = "Pay at [https://bank.com](https://evil.com/pay)\u202e now, <https://evil.com|bank.com>."
    for end in range(1, len(evil), 3):
        post.show(Draft(text=evil[:end]))

    post.finish(reply(evil))

    [answer] = scene.answers
    seen = "".join(str(c.arguments.get("markdown_text")) for c in scene.slack.calls)
    assert (
        "https://bank.com (https://evil.com/pay) now, bank.com (https://evil.com)" in answer.shown
    )
    assert "](" not in seen + answer.shown


def test_where_streams_are_refused_the_answer_is_posted(in_dm: Scene) -> None:
    in_dm.slack.fail("chat.startStream", Fault.says("channel_type_not_supported"))
    post = in_dm.post()
    post.show(Draft(text="All"))

    post.finish(reply())

    assert [answer.shown for answer in in_dm.answers] == ["All is well."]


def test_an_append_whose_answer_was_lost_does_not_double_the_text(in_dm: Scene) -> None:
    post = in_dm.post()
    post.show(Draft(text="All "))
    in_dm.slack.fail("chat.appendStream", Fault.resets(done=True))
    post.show(Draft(text="All is "))

    post.finish(reply())

    assert [answer.shown for answer in in_dm.answers] == ["All is well."]


# What Slack says no to


def test_a_draft_is_skipped_while_slack_limits_calls(scene: Scene) -> None:
    post = scene.post()
    post.show(Draft(text="All "))
    method = "chat.appendStream" if scene.dm else "chat.update"
    scene.slack.fail(method, Fault.limits(60))
    post.show(Draft(text="All is "))
    calls = len(scene.slack.calls)

    post.show(Draft(text="All is well"))

    assert len(scene.slack.calls) == calls


def test_a_channel_without_the_bot_is_refused_with_the_remedy(in_channel: Scene) -> None:
    in_channel.slack.workspace.channel("C0GENERAL").joined = False

    with pytest.raises(ChannelRefused, match="invite it there with /invite"):
        in_channel.post().finish(reply())


def test_blocks_that_slack_does_not_take_do_not_cost_the_answer(in_channel: Scene) -> None:
    in_channel.slack.fail("chat.postMessage", Fault.says("invalid_blocks"))

    in_channel.post().finish(reply())

    assert [answer.shown for answer in in_channel.answers] == ["All is well."]


def test_a_plain_channel_gets_a_new_message_that_is_found_again(in_channel: Scene) -> None:
    in_channel.address = "slack:C0GENERAL"
    in_channel.slack.fail("chat.postMessage", Fault.resets(done=True))
    with pytest.raises(ChannelUnavailable):
        in_channel.post().finish(reply())

    in_channel.taken_over().finish(reply())

    [message] = [m for m in in_channel.slack.messages("C0GENERAL") if m.bot_id]
    assert (message.thread_ts, message.shown) == (None, "All is well.")
