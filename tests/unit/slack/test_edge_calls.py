"""The edge's own calls keep the limits that all processes share: some wait, some are dropped."""

import asyncio
import time

import pytest

from integrations.slack.calls import Calls, Limited, sync_client
from integrations.slack.comments import comment_modal
from integrations.slack.edge_calls import EdgeCalls, Turn
from integrations.slack.limits import Limits
from llmasos.rates import MemoryRates
from llmasos.testing.slack import Fault, SlackStandIn

LONG = 600.0


@pytest.fixture
def rates() -> MemoryRates:
    return MemoryRates()


def edge_calls(slack: SlackStandIn, rates: MemoryRates, minute: float = 61.0) -> EdgeCalls:
    return EdgeCalls(slack.bot_token, slack.api_url, Limits(rates, "bot", minute))


def test_a_modal_is_opened_at_once_and_counted(slack: SlackStandIn, rates: MemoryRates) -> None:
    calls = edge_calls(slack, rates)
    rates.pause("slack:bot:views.open", LONG)
    view = comment_modal("job1")

    opened = calls(calls.client.views_open, turn=Turn.NOW, trigger_id=slack.trigger(), view=view)
    began = time.monotonic()
    asyncio.run(opened)

    assert time.monotonic() - began < 30
    assert slack.called("views.open")


def test_what_is_only_nice_to_have_is_dropped(slack: SlackStandIn, rates: MemoryRates) -> None:
    calls = edge_calls(slack, rates)
    rates.pause("slack:bot:agents.sessions.setStatus", LONG)
    set_status = calls.client.agents_sessions_setStatus

    with pytest.raises(Limited):
        asyncio.run(calls(set_status, turn=Turn.SPARE, channel_id="D1", status="active"))

    assert slack.calls == []


def test_what_somebody_must_be_told_waits_for_its_turn(
    slack: SlackStandIn, rates: MemoryRates
) -> None:
    calls = edge_calls(slack, rates)
    rates.pause("slack:bot:chat.postMessage:C0GENERAL", 0.2)
    slack.fail("chat.postMessage", Fault.limits(0.1))

    began = time.monotonic()
    asyncio.run(calls(calls.client.chat_postMessage, channel="C0GENERAL", text="No."))

    assert time.monotonic() - began >= 0.3
    assert [message.text for message in slack.messages("C0GENERAL")] == ["No."]


def test_slacks_word_to_wait_holds_for_workers_too(slack: SlackStandIn, rates: MemoryRates) -> None:
    calls = edge_calls(slack, rates)
    worker = Calls(sync_client(slack.bot_token, slack.api_url), Limits(rates, "bot"))
    slack.fail("chat.postMessage", Fault.limits(LONG))

    with pytest.raises(Limited):
        asyncio.run(calls(calls.client.chat_postMessage, channel="C0GENERAL", text="No."))
    with pytest.raises(Limited):
        worker(worker.client.chat_postMessage, channel="C0GENERAL", text="Yes.")

    assert len(slack.calls) == 1
