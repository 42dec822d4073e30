"""A conversation goes to a person: who is told what, once, and that the bot is quiet then."""

import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from sqlalchemy import update

from integrations.slack.calls import Calls, sync_client
from integrations.slack.channel import SlackChannel
from integrations.slack.handover import Handover
from integrations.slack.limits import Limits
from integrations.slack.post import Pace
from llmasos.channels import Turnover
from llmasos.database import Database
from llmasos.errors import ChannelUnavailable
from llmasos.events import Handoff, Reply
from llmasos.handoffs import Handoffs
from llmasos.rates import MemoryRates
from llmasos.request import Request
from llmasos.tables import handoffs
from llmasos.testing.jobs import MemoryPostJournal
from llmasos.testing.slack import Fault, Message, SlackStandIn

WANTS_A_PERSON = Reply(
    text="I do not know <!channel>.", handoff=Handoff(reason="no source <!here> says it")
)


class Scene:
    """A question, and an agent that answers it where conversations can be handed over."""

    def __init__(self, slack: SlackStandIn, database: Database) -> None:
        self.slack, self.database, self.handoffs = slack, database, Handoffs(database)
        slack.redeliver_after()
        slack.workspace.channel("C0SUPPORT")
        self.journal = MemoryPostJournal("job1")

    def ask(self, *, dm: bool = False) -> None:
        text = "What does it *cost* <@U0BEN>?"
        self.place = self.slack.im() if dm else "C0GENERAL"
        self.asked = self.slack.dm(text) if dm else self.slack.say("C0GENERAL", text)
        self.address = f"slack:{self.place}/{self.asked}?team=T0TEAM&user=U0ANN"
        self.address += "&dm=1" if dm else ""

    def answer(self, reply: Reply, to: str = "C0SUPPORT") -> None:
        client = sync_client(self.slack.bot_token, self.slack.api_url)
        calls = Calls(client, Limits(MemoryRates(), "bot", minute=0.001))
        handover = Handover(lambda _: calls, lambda _: to, self.handoffs, 0.01)
        channel = SlackChannel(lambda _: calls, Pace(settle_seconds=0.01), handover)
        request = Request(
            text="What does it *cost* <@U0BEN>?",
            conversation="c1",
            order=float(self.asked),
            reply_to=(self.address,),
        )
        self.journal.attempt += 1
        turn = Turnover("job1", "customer_service", request, asked_at=time.time())
        channel.open(self.address, turn, self.journal).finish(reply)

    @property
    def told(self) -> list[Message]:
        """What people read in the channel that they watch."""
        return self.slack.messages("C0SUPPORT")

    @property
    def thread(self) -> list[str]:
        return [each.shown for each in self.slack.answers(self.place, self.asked)]


@pytest.fixture
def scene(slack: SlackStandIn, database: Database) -> Scene:
    return Scene(slack, database)


def test_an_agent_that_wants_a_person_hands_the_conversation_over(scene: Scene) -> None:
    scene.ask()

    scene.answer(WANTS_A_PERSON)

    [note] = scene.told
    assert "<@U0ANN> needs a person" in note.text
    assert "What does it *cost*" in note.text
    assert f"/archives/C0GENERAL/p{scene.asked.replace('.', '')}|Open the thread>" in note.text
    assert "I asked a person in <#C0SUPPORT>" in scene.thread[1]
    assert scene.handoffs.quiet("c1")


def test_nobody_is_called_together_by_what_others_wrote(scene: Scene) -> None:
    scene.ask()

    scene.answer(WANTS_A_PERSON)

    [note] = scene.told
    assert "<!" not in note.text
    assert "<@U0BEN" not in note.text


def test_people_are_told_once_however_often_it_is_brought(scene: Scene) -> None:
    scene.ask()
    scene.answer(WANTS_A_PERSON)

    scene.answer(WANTS_A_PERSON)

    assert len(scene.told) == 1
    assert len(scene.thread) == 2


def test_people_are_told_once_though_the_worker_died_before_it_noted_that(scene: Scene) -> None:
    scene.ask()
    scene.answer(WANTS_A_PERSON)
    with scene.database.writing() as connection:
        connection.execute(update(handoffs).values(told_at=None))

    scene.answer(WANTS_A_PERSON)

    assert len(scene.told) == 1
    assert not scene.handoffs.begin("c1", "job2", "slack:T0TEAM:U0ANN")


def test_people_are_told_though_the_worker_died_before_it_could(scene: Scene) -> None:
    scene.ask()
    scene.handoffs.begin("c1", "job1", "agent:customer_service")
    with suppress(ChannelUnavailable):  # it may have been told a moment ago: that must show first
        scene.answer(WANTS_A_PERSON)

    scene.answer(WANTS_A_PERSON)

    assert len(scene.told) == 1
    assert scene.handoffs.quiet("c1")


def test_people_are_told_once_though_slack_gave_no_clear_answer(scene: Scene) -> None:
    scene.ask()
    scene.slack.workspace.channel("C0SUPPORT").joined = False
    scene.answer(WANTS_A_PERSON)  # the answer stands, nobody could be told
    scene.slack.workspace.channel("C0SUPPORT").joined = True
    scene.slack.fail("chat.postMessage", Fault.breaks(done=True))
    with pytest.raises(ChannelUnavailable):
        scene.answer(WANTS_A_PERSON)

    scene.answer(WANTS_A_PERSON)

    assert len(scene.told) == 1
    assert scene.handoffs.quiet("c1")


def test_a_group_is_called_into_the_thread(scene: Scene) -> None:
    scene.ask()

    scene.answer(WANTS_A_PERSON, to="S0HELP")

    assert scene.told == []
    assert "<!subteam^S0HELP> <@U0ANN> needs a person" in scene.thread[1]
    assert scene.handoffs.quiet("c1")


def test_a_direct_message_is_told_without_a_link_that_nobody_can_open(scene: Scene) -> None:
    scene.ask(dm=True)

    scene.answer(WANTS_A_PERSON)

    [note] = scene.told
    assert "please write to them" in note.text
    assert "archives" not in note.text


def refuse(slack: SlackStandIn) -> str:
    slack.workspace.channel("C0SUPPORT").joined = False
    return "C0SUPPORT"


def to_group(slack: SlackStandIn) -> str:
    return "S0HELP"


@pytest.mark.parametrize("how", [refuse, to_group])
def test_where_nobody_can_be_told_the_bot_stays_in_charge(
    scene: Scene, how: Callable[[SlackStandIn], str]
) -> None:
    scene.ask(dm=True)

    scene.answer(WANTS_A_PERSON, to=how(scene.slack))

    assert scene.thread == ["I do not know <\u2060!channel>."]
    assert not scene.handoffs.quiet("c1")


def test_while_slack_is_away_the_handoff_waits_with_the_answer(scene: Scene) -> None:
    scene.ask()
    scene.slack.fail("chat.getPermalink", Fault.breaks())
    with pytest.raises(Exception, match="cannot be reached"):
        scene.answer(WANTS_A_PERSON)

    scene.answer(WANTS_A_PERSON)

    assert len(scene.told) == 1
    assert scene.thread[0] == "I do not know <\u2060!channel>."


def test_an_answer_that_needs_nobody_offers_a_person(scene: Scene) -> None:
    scene.ask()

    scene.answer(Reply(text="Ten."))

    [answer] = scene.slack.answers("C0GENERAL", scene.asked)
    buttons = [
        e["text"]["text"] for b in answer.blocks if b["type"] == "actions" for e in b["elements"]
    ]
    assert buttons == ["Try again", "Ask a person"]
    assert scene.told == []
