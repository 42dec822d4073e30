"""Slack is away for a while: the answer waits in the table of jobs and comes once, afterwards."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from integrations.slack.calls import Calls, sync_client
from integrations.slack.channel import SlackChannel
from integrations.slack.limits import Limits
from integrations.slack.post import Pace
from llmasos.agent import Agent
from llmasos.bus import MemoryBus
from llmasos.database import Database, migrate
from llmasos.events import Reply
from llmasos.jobs import Delivery, Jobs
from llmasos.rates import MemoryRates
from llmasos.request import Request
from llmasos.settings import JobSettings, WorkerSettings
from llmasos.tables import deliveries
from llmasos.testing import ScriptedEngine, make_turn
from llmasos.testing.slack import Fault, SlackStandIn
from llmasos.turn import Turn
from workers.inline import InlineDispatcher
from workers.means import Means
from workers.runner import Runner

TEN_MINUTES = 600.0


class Echo:
    """Turns of an agent that repeats what it is told."""

    def begin(self, job: Any, memory: Any, journal: Any, checkpoint: Any, usage: Any) -> Turn:
        agent = Agent(name="echo", flow=lambda turn: iter((Reply(text=turn.text),)))
        return make_turn(agent, job.request.text, ScriptedEngine(), journal=journal)


class House:
    """A worker with a Slack channel. Its clock is the tests': `wait` lets time pass at once."""

    def __init__(self, slack: SlackStandIn, database: Database) -> None:
        self.slack, self.database = slack, database
        client = sync_client(slack.bot_token, slack.api_url)
        self.passed = 0.0
        unhurried = Limits(MemoryRates(lambda: time.monotonic() + self.passed), "bot", minute=0.001)
        calls = Calls(client, unhurried)
        channel = SlackChannel(lambda _: calls, Pace(settle_seconds=0.01))
        dispatcher = InlineDispatcher()
        self.jobs = Jobs(
            database, dispatcher, JobSettings(), ["echo"], ["slack"], lambda agent, who: True
        )
        means = Means(
            database=database,
            dispatcher=dispatcher,
            bus=MemoryBus(),
            channels={"slack": channel},
            turns=Echo(),
            settings=WorkerSettings(),
            limits=JobSettings(),
        )
        self.runner = Runner(means, "worker")
        self.runner.start()

    def ask(self) -> str:
        asked = self.slack.say("C0GENERAL", "All is well.")
        request = Request(agent="echo", text="All is well.", reply_to=(f"slack:C0GENERAL/{asked}",))
        return self.jobs.submit(request).job.id

    def wait(self) -> float:
        """Let the time until the next try pass; gives its seconds."""
        with self.database.writing() as connection:
            run_after = connection.execute(select(deliveries.c.run_after)).scalar_one()
            now = connection.execute(select(self.database.now())).scalar_one()
            connection.exec_driver_sql("UPDATE deliveries SET run_after = 0")
            connection.exec_driver_sql("UPDATE jobs SET due_at = 1 WHERE due_at IS NOT NULL")
        waited = max(0.0, float(run_after) - float(now))
        self.passed += waited
        return waited

    def delivery(self, job: str) -> Delivery:
        return self.jobs.find(job).deliveries[0]

    @property
    def answers(self) -> list[str]:
        return [m.shown for m in self.slack.messages("C0GENERAL") if m.bot_id]


@pytest.fixture
def house(tmp_path: Path, slack: SlackStandIn) -> Iterator[House]:
    slack.redeliver_after()
    with Database(f"sqlite:///{tmp_path / 'state.db'}") as database:
        migrate(database)
        made = House(slack, database)
        yield made
        made.runner.drain(0)


def away_for(house: House, seconds: float) -> int:
    """Try until so much time has passed; gives how often."""
    tries = 0
    while house.passed < seconds:
        house.runner.work()
        house.wait()
        tries += 1
    return tries


def refused(slack: SlackStandIn) -> None:
    slack.close_door()


def broken(slack: SlackStandIn) -> None:
    for method in ("chat.postMessage", "conversations.replies", "auth.test"):
        slack.fail(method, *[Fault.breaks()] * 100)


def broken_after_the_deed(slack: SlackStandIn) -> None:
    broken(slack)
    slack.forgive()
    slack.fail("chat.postMessage", Fault.breaks(done=True))
    slack.fail("conversations.replies", *[Fault.breaks()] * 100)


def mended(slack: SlackStandIn) -> None:
    slack.open_door()
    slack.forgive()


@pytest.mark.parametrize("outage", [refused, broken, broken_after_the_deed])
def test_after_ten_minutes_without_slack_there_is_exactly_one_answer(
    house: House, outage: Callable[[SlackStandIn], None]
) -> None:
    job = house.ask()
    outage(house.slack)

    tries = away_for(house, TEN_MINUTES)
    meanwhile = house.delivery(job)
    mended(house.slack)
    house.runner.work()
    house.wait()
    house.runner.work()

    assert 5 <= tries <= 20
    assert meanwhile.state == "pending"
    assert "Slack" in str(meanwhile.error)
    assert house.delivery(job).state == "delivered"
    assert house.answers == ["All is well."]


def test_slacks_wish_to_wait_is_the_cause_that_is_shown_and_costs_no_try(house: House) -> None:
    job = house.ask()
    house.slack.fail("chat.postMessage", *[Fault.limits(600)] * 100)
    for _ in range(34):
        house.runner.work()
        house.wait()
    meanwhile = house.delivery(job)
    house.slack.forgive()

    house.runner.work()

    assert house.passed > 30 * 600
    assert meanwhile.state == "pending"
    assert "takes nothing at the moment: Slack asks to wait until" in str(meanwhile.error)
    assert house.answers == ["All is well."]
