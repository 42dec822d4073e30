"""What people do in Slack beside asking: stop, edit, delete, look elsewhere, be refused."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from llmasos.database import Database
from llmasos.errors import DatabaseUnavailable
from llmasos.jobs import Job, Jobs, JobStatus, Submitted
from llmasos.request import Request
from llmasos.settings import Settings
from llmasos.tables import messages
from llmasos.testing.slack import SlackStandIn
from tests.unit.slack.conftest import Desk, Door, bot, jobs_of


def asked(slack: SlackStandIn, jobs: Jobs, number: int = 1) -> Job:
    """The latest job once there are so many."""
    found = slack.wait(lambda: jobs.list() if len(jobs.list()) >= number else None, 30)
    return found[0]


def acknowledged(slack: SlackStandIn) -> None:
    slack.wait(lambda: all(d.acknowledged for d in slack.deliveries), 30)


def test_stop_cancels_what_was_asked_in_the_session(running: SlackStandIn, jobs: Jobs) -> None:
    ts = running.dm("Write a long story")
    asked(running, jobs)

    running.press_stop(running.im(), ts)

    running.wait(lambda: jobs.list()[0].status is JobStatus.CANCELLED, 30)
    session = running.workspace.sessions[(running.im(), ts)]
    running.wait(lambda: session["status"] == "active", 30)
    assert session["title"] == "Write a long story"


def test_somebody_elses_work_is_not_stopped_and_that_is_said(
    running: SlackStandIn, jobs: Jobs
) -> None:
    ts = running.say("C0GENERAL", "Write a long story")
    asked(running, jobs)

    running.press_stop("C0GENERAL", ts, user="U0BEN")

    running.wait(lambda: "may not stop" in running.messages("C0GENERAL", ts)[-1].text, 30)
    assert jobs.list()[0].status is JobStatus.QUEUED


def test_an_operator_stops_everybodys_work(
    slack: SlackStandIn, slack_settings: Callable[..., Settings], desk: object, jobs: Jobs
) -> None:
    slack.workspace.groups["S0OPS"] = ["U0BEN"]
    with bot(slack_settings('operators = ["S0OPS"]', socket=True), desk):
        ts = slack.say("C0GENERAL", "Write a long story")
        asked(slack, jobs)
        slack.press_stop("C0GENERAL", ts, user="U0BEN")

        assert slack.wait(lambda: jobs.list()[0].status is JobStatus.CANCELLED, 30)


def test_an_edit_changes_a_question_that_waits(running: SlackStandIn, jobs: Jobs) -> None:
    ts = running.dm("How long do refund take?")
    asked(running, jobs)

    running.edit(running.im(), ts, "writing: a poem &amp; a song")

    running.wait(lambda: jobs.list()[0].request.text == "a poem & a song", 30)
    assert (len(jobs.list()), jobs.list()[0].agent) == (1, "writing")


def test_an_edit_that_cannot_be_taken_is_answered(running: SlackStandIn, jobs: Jobs) -> None:
    ts = running.dm("Short")
    asked(running, jobs)

    running.edit(running.im(), ts, "word " * 100)

    running.wait(lambda: "at most 200" in running.messages(running.im(), ts)[-1].text, 30)
    assert jobs.list()[0].request.text == "Short"


def test_a_deleted_question_is_not_answered(
    running: SlackStandIn, jobs: Jobs, database: Database
) -> None:
    ts = running.dm("My password is hunter2")
    asked(running, jobs)

    running.remove(running.im(), ts)

    running.wait(lambda: jobs.list()[0].status is JobStatus.CANCELLED, 30)
    assert [each.state for each in jobs.list()[0].deliveries] == ["refused"]
    with database.reading() as connection:
        assert connection.execute(messages.select()).all() == []


def test_edits_and_deletions_of_other_messages_change_nothing(
    running: SlackStandIn, jobs: Jobs
) -> None:
    ts = running.say("C0GENERAL", "Just talking", mention=False)

    running.edit("C0GENERAL", ts, "Just talking still")
    running.remove("C0GENERAL", ts)

    acknowledged(running)
    assert jobs.list() == []


def test_what_is_looked_at_goes_along_when_the_message_points_to_it(
    running: SlackStandIn, jobs: Jobs
) -> None:
    running.look_at("C0SALES")
    acknowledged(running)
    running.dm("Write a poem")
    assert "viewed" not in asked(running, jobs).request.metadata

    running.dm("Summarise this channel")

    assert asked(running, jobs, 2).request.metadata["viewed"] == "C0SALES"


def test_a_thread_under_our_own_message_goes_on(running: SlackStandIn, jobs: Jobs) -> None:
    alert = running.workspace.mint()
    event = {"type": "message", "channel_type": "channel", "user": "U0ANN", "team": "T0TEAM"}

    running.send_event(
        {
            **event,
            "channel": "C0GENERAL",
            "text": "What does it mean?",
            "ts": running.workspace.mint(),
            "thread_ts": alert,
            "parent_user_id": "U0BOT",
        }
    )

    assert asked(running, jobs).request.text == "What does it mean?"


def test_a_follow_up_can_be_turned_off_for_a_channel(
    make_door: Callable[..., Door], slack_settings: Callable[..., Settings], jobs: Jobs
) -> None:
    door = make_door(slack_settings("[slack.channels.C0GENERAL]\nfollow_up = false"))
    door.mention()

    door.event(
        type="message",
        channel_type="channel",
        channel="C0GENERAL",
        user="U0ANN",
        text="And abroad?",
        ts="1760000000.000300",
        thread_ts="1760000000.000100",
    )

    assert len(jobs.list()) == 1


def test_an_agent_of_a_user_group_is_for_its_members_only(
    running: SlackStandIn, jobs: Jobs
) -> None:
    running.workspace.groups["S0FINANCE"] = ["U0ANN"]

    running.dm("finance: what did we earn?")
    ts = running.dm("finance: what did we earn?", user="U0CARL")

    assert asked(running, jobs).request.principal.groups == ("S0FINANCE",)
    running.wait(lambda: len(running.messages(running.im("U0CARL"), ts)) == 2, 30)
    assert "[agents.finance]" in running.messages(running.im("U0CARL"), ts)[-1].text
    assert len(jobs.list()) == 1


def test_a_refusal_names_whom_to_ask(
    make_door: Callable[..., Door], slack_settings: Callable[..., Settings], jobs: Jobs
) -> None:
    door = make_door(slack_settings('operators = ["U0BOSS", "S0OPS"]'))
    ts = door.slack.say("C0GENERAL", "Hi?")

    door.mention(ts=ts, user_team="T0OTHER")

    [notice] = door.slack.wait(lambda: door.slack.messages("C0GENERAL", ts)[1:], 30)
    assert "slack.partners" in notice.text
    assert notice.text.endswith("Ask <@U0BOSS>.")
    assert jobs.list() == []


def test_a_partners_people_are_members(
    make_door: Callable[..., Door], slack_settings: Callable[..., Settings], jobs: Jobs
) -> None:
    door = make_door(slack_settings('partners = ["T0OTHER"]'))

    door.mention(user_team="T0OTHER")

    [job] = jobs.list()
    assert (job.request.principal.member, job.request.principal.team) == (True, "T0OTHER")


@pytest.mark.parametrize("scopes", [{"usergroups:read"}], ids=["without the scope"])
def test_without_the_permission_nobody_is_in_a_group(
    door: Door, jobs: Jobs, scopes: set[str]
) -> None:
    door.slack.scopes -= scopes
    ts = door.slack.say("C0GENERAL", "finance: what did we earn?")

    assert door.mention("finance: what did we earn?", ts=ts) == 200

    assert jobs.list() == []


def test_what_somebody_looks_at_is_known_to_every_process(
    make_door: Callable[..., Door], slack_settings: Callable[..., Settings], jobs: Jobs
) -> None:
    one, other = make_door(slack_settings()), make_door(slack_settings())
    entity = {"type": "slack#/types/channel_id", "value": "C0SALES"}
    one.event(type="app_context_changed", user="U0ANN", context={"entities": [entity]})
    said = {"channel": "D0ANN", "channel_type": "im", "user": "U0ANN", "ts": "1760000000.000100"}

    other.event(type="message", text="writing: summarise this channel", **said)
    one.event(type="app_context_changed", user="U0ANN", context={})
    said["ts"] = "1760000001.000100"
    other.event(type="message", text="writing: summarise this channel again", **said)

    again, first = jobs.list()
    assert first.request.metadata["viewed"] == "C0SALES"
    assert "viewed" not in again.request.metadata


def test_the_twin_of_a_stored_mention_asks_the_database_nothing(
    make_door: Callable[..., Door],
    slack_settings: Callable[..., Settings],
    desk: Desk,
    database: Database,
) -> None:
    submitted = []

    class Counting(Jobs):
        def submit(self, request: Request) -> Submitted:
            submitted.append(request.idempotency_key)
            return super().submit(request)

    door = make_door(slack_settings(), replace(desk, jobs=jobs_of(Counting, database)))
    said = {"channel": "C0GENERAL", "user": "U0ANN", "team": "T0TEAM", "ts": "1760000000.000100"}

    assert door.mention("writing: Hi?") == 200
    assert door.event(type="message", text="<@U0BOT> writing: Hi?", **said) == 200
    assert door.mention("writing: Hi?") == 200

    assert submitted == ["slack:T0TEAM:C0GENERAL:1760000000.000100"]


def test_a_twin_is_stored_when_its_mention_could_not_be(
    make_door: Callable[..., Door],
    slack_settings: Callable[..., Settings],
    broken: Callable[[Exception, int], Desk],
    jobs: Jobs,
) -> None:
    door = make_door(slack_settings(), broken(DatabaseUnavailable("db", "gone"), 1))
    said = {"channel": "C0GENERAL", "user": "U0ANN", "team": "T0TEAM", "ts": "1760000000.000100"}

    assert door.mention("writing: Hi?") == 500
    assert door.event(type="message", text="<@U0BOT> writing: Hi?", **said) == 200

    assert len(jobs.list()) == 1
