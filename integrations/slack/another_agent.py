"""The buttons that ask another agent the same, below an answer that found nothing."""

import asyncio

import structlog

from integrations.slack.blocks import ASK_AGENT
from integrations.slack.desk import Desk
from integrations.slack.edge_calls import EdgeCalls
from integrations.slack.errands import Errands
from integrations.slack.interactions import Pressed
from integrations.slack.refusing import refusal
from integrations.slack.translate import House
from llmasos.errors import NotAllowed, UsageError

log = structlog.get_logger()


class AnotherAgent:
    """Asks another agent."""

    def __init__(self, desk: Desk, errands: Errands) -> None:
        self._desk, self._errands = desk, errands

    async def ask(self, pressed: Pressed, house: House, calls: EdgeCalls) -> None:
        """Ask the agent that a button names what its answer's job was asked, as who presses it.

        Raises a StateError when it cannot be stored.
        """
        try:
            job = await asyncio.to_thread(self._submit, pressed)
        except UsageError as error:
            told = calls(
                calls.client.chat_postEphemeral,
                channel=pressed.channel,
                user=pressed.user,
                text=refusal(error, house.settings),
            )
            self._errands.run("notice", told)
        else:
            log.info("slack.asked_another", job=job)

    def _submit(self, pressed: Pressed) -> str:
        agent = pressed.action.removeprefix(f"{ASK_AGENT}:")
        asked = self._desk.jobs.find(pressed.value).request
        if asked.principal.channel != pressed.channel:
            raise NotAllowed("You", "ask this again here", "Ask it where it was asked first.")
        again = asked.model_copy(
            update={
                "agent": agent,
                "principal": pressed.principal,
                "order": None,
                "idempotency_key": f"{asked.idempotency_key or pressed.value}:{agent}"[-300:],
            }
        )
        return self._desk.jobs.submit(again).job.id
