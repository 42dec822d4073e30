"""Who we are is asked once, however many events wait for it."""

import asyncio

import pytest

from integrations.slack.bots import Bots
from llmasos.errors import ChannelUnavailable
from llmasos.rates import MemoryRates
from llmasos.settings import SlackSettings
from llmasos.testing.slack import Fault, SlackStandIn


@pytest.fixture
def settings(slack: SlackStandIn) -> SlackSettings:
    return SlackSettings(bot_token=slack.bot_token, api_url=slack.api_url)


def test_a_hundred_events_wait_for_one_answer(slack: SlackStandIn, settings: SlackSettings) -> None:
    async def ask() -> list[object]:
        bots = Bots(settings, MemoryRates(), None)
        return list(await asyncio.gather(*(bots.of("T0TEAM") for _ in range(100))))

    found = asyncio.run(ask())

    assert {bot.user for bot in found} == {"U0BOT"}  # type: ignore[attr-defined]
    assert len(slack.called("auth.test")) == 1


def test_a_failure_is_shared_and_the_next_event_asks_anew(
    slack: SlackStandIn, settings: SlackSettings
) -> None:
    slack.fail("auth.test", Fault.breaks())

    async def ask() -> tuple[list[object], object]:
        bots = Bots(settings, MemoryRates(), None)
        waiting = [bots.of("T0TEAM") for _ in range(100)]
        return await asyncio.gather(*waiting, return_exceptions=True), await bots.of("T0TEAM")

    failed, bot = asyncio.run(ask())

    assert {type(error) for error in failed} == {ChannelUnavailable}
    assert bot.user == "U0BOT"  # type: ignore[attr-defined]
    assert len(slack.called("auth.test")) == 2
