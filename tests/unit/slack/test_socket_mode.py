import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from integrations.slack import socket_mode
from integrations.slack.desk import Desk
from llmasos.errors import (
    ChannelUnavailable,
    DatabaseUnavailable,
    SettingsError,
)
from llmasos.feedback import Feedback
from llmasos.jobs import Jobs
from llmasos.settings import Settings
from llmasos.testing.slack import Fault, SlackStandIn
from tests.unit.slack.conftest import bot


@pytest.fixture
def settings(slack_settings: Callable[..., Settings]) -> Settings:
    return slack_settings(socket=True)


def test_a_mention_with_its_twin_makes_one_job_and_both_are_acknowledged(
    slack: SlackStandIn, settings: Settings, desk: Desk, jobs: Jobs
) -> None:
    with bot(settings, desk):
        ts = slack.say("C0GENERAL", "How long do refunds take?")
        slack.wait(lambda: [d.acknowledged for d in slack.deliveries] == [True, True])

    [job] = jobs.list()
    assert job.request.text == "How long do refunds take?"
    assert job.request.reply_to == (f"slack:C0GENERAL/{ts}?team=T0TEAM&user=U0ANN",)


def test_what_cannot_be_stored_is_delivered_again_and_then_stored(
    slack: SlackStandIn, settings: Settings, jobs: Jobs, broken: Any
) -> None:
    slack.redeliver_after(0.05, 0.05, 0.05, patience=2.0)
    with bot(settings, broken(DatabaseUnavailable("sqlite://", "is locked"), 1)):
        slack.dm("Hi?")
        slack.wait(lambda: slack.deliveries[0].acknowledged, 30)

    assert slack.deliveries[0].tries > 1
    assert len(jobs.list()) == 1


def test_a_thread_goes_on_without_another_mention(
    slack: SlackStandIn, settings: Settings, desk: Desk, jobs: Jobs
) -> None:
    with bot(settings, desk):
        root = slack.say("C0GENERAL", "How long do refunds take?")
        slack.wait(jobs.list)
        slack.say("C0GENERAL", "And abroad?", thread_ts=root, mention=False)
        slack.say("C0GENERAL", "Elsewhere", mention=False)
        slack.wait(lambda: len(jobs.list()) == 2)
        slack.wait(lambda: all(d.acknowledged for d in slack.deliveries))

    texts = [job.request.text for job in jobs.list()]
    assert texts == ["And abroad?", "How long do refunds take?"]


def test_edits_bots_and_its_own_messages_make_no_jobs(
    slack: SlackStandIn, settings: Settings, desk: Desk, jobs: Jobs
) -> None:
    with bot(settings, desk):
        ts = slack.dm("Hi?")
        slack.wait(jobs.list)
        slack.edit(slack.im(), ts, "Hello?")
        slack.bot_says("C0GENERAL", "<@U0BOT> let us talk")
        slack.send_event(
            {"type": "message", "user": "U0BOT", "bot_id": "B0BOT", "text": "<@U0BOT>"}
        )
        slack.wait(lambda: len(slack.deliveries) == 5)
        slack.wait(lambda: all(d.acknowledged for d in slack.deliveries))

    assert len(jobs.list()) == 1


def test_a_renewed_connection_loses_nothing(
    slack: SlackStandIn, settings: Settings, desk: Desk, jobs: Jobs
) -> None:
    slack.redeliver_after(0.05, 0.1, 0.2, patience=1)
    with bot(settings, desk):
        slack.wait(lambda: slack.connections == 1)
        slack.disconnect()
        slack.dm("Still there?")
        slack.wait(jobs.list)

    assert len(slack.called("apps.connections.open")) == 2


def test_opening_the_messages_tab_offers_prompts(
    slack: SlackStandIn, settings: Settings, desk: Desk
) -> None:
    with bot(settings, desk):
        slack.open_messages_tab()
        slack.open_messages_tab()
        slack.wait(lambda: len(slack.workspace.prompts) == 2)

    assert [p["message"] for p in slack.workspace.prompts[0]["prompts"]] == [
        "How long do refunds take?",
        "Shorten this text",
    ]


def test_prompts_that_cannot_be_set_disturb_nobody(
    slack: SlackStandIn, settings: Settings, desk: Desk, jobs: Jobs
) -> None:
    slack.fail("assistant.threads.setSuggestedPrompts", Fault.resets(done=False))
    with bot(settings, desk):
        slack.open_messages_tab()
        slack.dm("Hi?")
        slack.wait(lambda: jobs.list() and all(d.acknowledged for d in slack.deliveries))

    assert slack.called("assistant.threads.setSuggestedPrompts")


def test_an_opinion_on_an_answer_is_kept(
    slack: SlackStandIn, settings: Settings, desk: Desk, jobs: Jobs, database: Any
) -> None:
    with bot(settings, desk):
        ts = slack.dm("Hi?")
        [job] = slack.wait(jobs.list)
        slack.press(slack.im(), ts, f"bad:{job.id}")
        slack.press(slack.im(), ts, "bad:'; drop table jobs")
        slack.press(slack.im(), ts, "good:unknown")
        opinions = slack.wait(lambda: Feedback(database).opinions(job.id))
        slack.wait(lambda: all(d.acknowledged for d in slack.deliveries))

    assert opinions == {"slack:T0TEAM:U0ANN": "bad"}


@pytest.mark.parametrize(
    ("wrong", "named"), [("bot_token", "BOT_TOKEN"), ("app_token", "APP_TOKEN")]
)
def test_a_wrong_token_is_said_in_plain_words(
    slack: SlackStandIn, settings: Settings, desk: Desk, wrong: str, named: str
) -> None:
    setattr(slack, wrong, "another")

    with pytest.raises(SettingsError, match=f"invalid_auth.*LLMASOS_SLACK__{named}"):
        asyncio.run(socket_mode.serve(settings.slack, desk, asyncio.Event()))


def test_a_missing_token_is_named(slack_settings: Callable[..., Settings], desk: Desk) -> None:
    with pytest.raises(SettingsError, match=r"slack\.app_token"):
        asyncio.run(socket_mode.serve(slack_settings().slack, desk, asyncio.Event()))


def test_a_slack_that_cannot_be_reached_is_said_so(
    make_settings: Callable[..., Settings], desk: Desk
) -> None:
    settings = make_settings(
        '[slack]\nbot_token = "xoxb-1"\napp_token = "xapp-1"\napi_url = "http://127.0.0.1:9/api/"'
    )

    with pytest.raises(ChannelUnavailable, match=r"127\.0\.0\.1:9"):
        asyncio.run(socket_mode.serve(settings.slack, desk, asyncio.Event()))
