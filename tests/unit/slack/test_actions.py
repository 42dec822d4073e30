"""The buttons of an answer: each does what it says for whom it may, and tells others why not."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from integrations.slack.blocks import (
    AGAIN_ACTION,
    APPROVE_ACTION,
    DECLINE_ACTION,
    FEEDBACK_ACTION,
    PERSON_ACTION,
    STOP_ACTION,
)
from integrations.slack.calls import Calls, sync_client
from integrations.slack.comments import COMMENT
from integrations.slack.desk import Desk
from integrations.slack.handover import Handover
from llmasos.approvals import Waiting, decisions
from llmasos.database import Database
from llmasos.events import Approval, Reply
from llmasos.feedback import Feedback
from llmasos.generation import Usage
from llmasos.jobs import Job, Jobs, JobStatus
from llmasos.settings import Settings
from llmasos.testing.slack import SlackStandIn
from tests.unit.slack.conftest import bot
from workers.claims import Claim, Claims
from workers.outcomes import Outcomes

PATIENCE = 30


@pytest.fixture
def running(
    slack: SlackStandIn, slack_settings: Callable[..., Settings], desk: Desk
) -> Iterator[SlackStandIn]:
    """Slack with the bot connected to it, and a channel where people are asked."""
    slack.workspace.channel("C0SUPPORT")
    calls = Calls(sync_client(slack.bot_token, slack.api_url))
    handover = Handover(lambda _: calls, lambda _: "C0SUPPORT", desk.handoffs)
    with bot(slack_settings(socket=True), replace(desk, handover=handover)):
        yield slack


class Thread:
    """A question in a channel, and what is done about it."""

    def __init__(self, slack: SlackStandIn, jobs: Jobs, database: Database) -> None:
        self.slack, self.jobs, self.database = slack, jobs, database
        self.asked = slack.say("C0GENERAL", "writing: shorten this")
        self.job: str = slack.wait(jobs.list, PATIENCE)[0].id

    def claim(self) -> Claim:
        claim = Claims(self.database, "worker", 60).take()
        assert claim is not None
        return claim

    def answered(self) -> None:
        Outcomes(self.database).succeed(self.claim(), "writing", Reply(text="Short."), Usage())

    def press(self, action: str, user: str = "U0ANN", value: str = "", **more: Any) -> None:
        place = {
            "channel": {"id": "C0GENERAL"},
            "message": {"ts": "1.1", "thread_ts": self.asked},
            **more,
        }
        delivery = self.slack.press_button(action, value or self.job, user, **place)
        self.slack.wait(lambda: delivery.acknowledged, PATIENCE)

    def find(self) -> Job:
        return self.jobs.find(self.job)

    def settled(self) -> None:
        """Wait until the bot has taken everything."""
        sent = self.slack.deliveries
        self.slack.wait(lambda: all(each.acknowledged for each in list(sent)), PATIENCE)

    def told(self, words: str) -> bool:
        """Wait until somebody alone is told so."""
        said = self.slack.workspace.ephemerals
        self.slack.wait(lambda: any(words in each["text"] for each in list(said)), PATIENCE)
        return True


@pytest.fixture
def thread(running: SlackStandIn, jobs: Jobs, database: Database) -> Thread:
    return Thread(running, jobs, database)


def test_whoever_asked_stops_the_job_and_nobody_else(thread: Thread) -> None:
    thread.press(STOP_ACTION, user="U0BEN")
    assert thread.told("may not")
    before = thread.find().status

    thread.press(STOP_ACTION)

    assert (before, thread.find().status) == (JobStatus.QUEUED, JobStatus.CANCELLED)


def test_a_stopped_job_is_run_again(thread: Thread) -> None:
    thread.press(STOP_ACTION)

    thread.press(AGAIN_ACTION)

    assert thread.find().status is JobStatus.QUEUED


def test_an_answer_is_asked_for_again_once(thread: Thread) -> None:
    thread.answered()

    thread.press(AGAIN_ACTION)
    thread.press(AGAIN_ACTION)

    again, first = thread.jobs.list()
    assert first.id == thread.job
    assert again.request.text == first.request.text
    assert again.request.reply_to == first.request.reply_to
    assert again.status is JobStatus.QUEUED


def test_what_runs_already_is_not_run_again(thread: Thread) -> None:
    thread.press(AGAIN_ACTION)

    assert thread.told("queued")
    assert len(thread.jobs.list()) == 1


def test_a_bad_opinion_is_kept_at_once_and_its_comment_when_it_comes(
    thread: Thread, database: Database
) -> None:
    thread.answered()
    thread.press(FEEDBACK_ACTION, user="U0BEN", value=f"bad:{thread.job}")
    kept = Feedback(database).opinions(thread.job)
    [view] = thread.slack.wait(
        lambda: [v for v in thread.slack.workspace.views.values() if v["callback_id"] == COMMENT],
        PATIENCE,
    )

    sent = thread.slack.submit(view["id"], "U0BEN", **{COMMENT: "It is not short."})
    thread.slack.wait(lambda: sent.acknowledged, PATIENCE)

    assert kept == {"slack:T0TEAM:U0BEN": "bad"}
    assert Feedback(database).comments(thread.job) == {"slack:T0TEAM:U0BEN": "It is not short."}


def test_a_good_opinion_asks_nothing(thread: Thread, database: Database) -> None:
    thread.press(FEEDBACK_ACTION, value=f"good:{thread.job}")

    assert Feedback(database).opinions(thread.job) == {"slack:T0TEAM:U0ANN": "good"}
    assert thread.slack.called("views.open") == []


def test_a_person_is_asked_and_the_bot_is_quiet_until_it_is_asked_back(thread: Thread) -> None:
    thread.answered()
    thread.press(PERSON_ACTION, user="U0BEN")
    thread.press(PERSON_ACTION, user="U0BEN")
    note = thread.slack.wait(lambda: thread.slack.messages("C0SUPPORT"), PATIENCE)
    thread.slack.wait(lambda: len(thread.slack.answers("C0GENERAL", thread.asked)) == 1, PATIENCE)

    thread.slack.say("C0GENERAL", "And then?", thread_ts=thread.asked, mention=False)
    thread.settled()
    thread.slack.say("C0GENERAL", "Bot, are you there?", thread_ts=thread.asked)
    thread.slack.wait(lambda: len(thread.jobs.list()) == 2, PATIENCE)
    thread.settled()
    thread.slack.say("C0GENERAL", "Go on.", thread_ts=thread.asked, mention=False)
    thread.slack.wait(lambda: len(thread.jobs.list()) == 3, PATIENCE)

    texts = [job.request.text for job in thread.jobs.list()]
    assert texts == ["Go on.", "Bot, are you there?", "shorten this"]
    assert [each.text.count("Short.") for each in note] == [1]


def test_a_conversation_is_not_handed_over_from_another_place(thread: Thread) -> None:
    thread.press(PERSON_ACTION, channel={"id": "C0OTHER"})
    thread.slack.workspace.channel("C0OTHER")
    thread.press(PERSON_ACTION, channel={"id": "C0OTHER"})

    assert thread.told("may not hand this conversation over from here")
    assert thread.slack.messages("C0SUPPORT") == []


def test_where_the_person_cannot_be_asked_the_reason_is_told(thread: Thread) -> None:
    thread.slack.workspace.channel("C0SUPPORT").joined = False

    thread.press(PERSON_ACTION)

    assert thread.told("invite it there with /invite")


@pytest.mark.parametrize("action", [APPROVE_ACTION, DECLINE_ACTION])
def test_who_may_decide_decides_and_nobody_else(thread: Thread, action: str) -> None:
    approval = Approval(question="May I?", to=("slack:T0TEAM:U0BEN",))
    Outcomes(thread.database).suspend(thread.claim(), "writing", approval, Usage(), 600)
    thread.press(action, user="U0ANN")
    assert thread.told("may not decide")
    before: Waiting | None = thread.find().waiting

    thread.press(action, user="U0BEN")

    with thread.database.reading() as connection:
        decision = decisions(connection, thread.job)["approval"]
    assert before is not None
    assert (decision.granted, decision.by) == (action == APPROVE_ACTION, "slack:T0TEAM:U0BEN")
    assert thread.find().status is JobStatus.QUEUED


def test_a_button_of_a_job_that_is_not_there_says_so(thread: Thread) -> None:
    for action in (STOP_ACTION, AGAIN_ACTION, PERSON_ACTION, APPROVE_ACTION):
        thread.press(action, value="unknown")

    assert thread.told("unknown")
    thread.slack.wait(lambda: len(thread.slack.workspace.ephemerals) == 4, PATIENCE)
