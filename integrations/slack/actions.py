"""What people do about an answer with its buttons: stop it, ask again, ask a person, decide.

A button's value is seen by every client, so whoever presses it is asked for their rights here.
What is not done is told to them alone. Start reading at `Actions.by_id`.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog

from integrations.slack.address import parse
from integrations.slack.blocks import (
    AGAIN_ACTION,
    APPROVE_ACTION,
    DECLINE_ACTION,
    PERSON_ACTION,
    STOP_ACTION,
)
from integrations.slack.calls import SlackError, as_channel_error
from integrations.slack.desk import Desk
from integrations.slack.edge_calls import EdgeCalls
from integrations.slack.errands import Errands
from integrations.slack.handover import Case
from integrations.slack.interactions import Action, Pressed
from integrations.slack.own_jobs import OwnJobs
from integrations.slack.refusing import refusal
from integrations.slack.translate import House
from llmasos.errors import ChannelError, ChannelRefused, NotAllowed, UsageError, WrongJobState
from llmasos.jobs import JobStatus

log = structlog.get_logger()

HANDOVERS = 2
"""Conversations that are handed over at a time. Each waits for Slack on a thread, and those on
which events are stored must not be taken up by that."""


class Actions:
    """Acts on the buttons of answers."""

    def __init__(self, desk: Desk, errands: Errands) -> None:
        self._desk, self._errands = desk, errands
        self._handovers = ThreadPoolExecutor(HANDOVERS, "slack-handover")

    def by_id(self) -> Mapping[str, Action]:
        """Who acts on a button, by its `action_id`."""
        return {
            STOP_ACTION: self._stop,
            AGAIN_ACTION: self._again,
            PERSON_ACTION: self._person,
            APPROVE_ACTION: self._decide,
            DECLINE_ACTION: self._decide,
        }

    async def _stop(self, pressed: Pressed, house: House, calls: EdgeCalls) -> None:
        own = self._own(pressed, house)
        await self._do(pressed, house, calls, lambda: own.cancel(pressed.value))

    async def _again(self, pressed: Pressed, house: House, calls: EdgeCalls) -> None:
        await self._do(pressed, house, calls, lambda: self._ask_again(pressed, house))

    async def _decide(self, pressed: Pressed, house: House, calls: EdgeCalls) -> None:
        granted = pressed.action == APPROVE_ACTION
        decide = self._desk.jobs.decide
        await self._do(
            pressed, house, calls, lambda: decide(pressed.value, granted, pressed.principal)
        )

    async def _person(self, pressed: Pressed, house: House, calls: EdgeCalls) -> None:
        """It takes several calls of Slack's: an errand."""
        act = partial(self._hand_over, pressed)
        self._errands.run("handover", self._do(pressed, house, calls, act, self._handovers))

    def _ask_again(self, pressed: Pressed, house: House) -> None:
        """Run a failed job again; to one that succeeded a new one, once."""
        own = self._own(pressed, house)
        job = own.find(pressed.value)
        if job.status in (JobStatus.FAILED, JobStatus.CANCELLED):
            own.retry(job.id)
        elif job.status is JobStatus.SUCCEEDED:
            again = {"idempotency_key": f"again:{job.id}", "order": None}
            self._desk.jobs.submit(job.request.model_copy(update=again))
        else:
            raise WrongJobState(job.id, job.status, "be run again")

    def _hand_over(self, pressed: Pressed) -> None:
        """Ask a person. Raises UsageError or ChannelError."""
        job = self._desk.jobs.find(pressed.value)
        place = next((a for a in job.request.reply_to if _is_in(a, pressed.channel)), None)
        if self._desk.handover is None or place is None or job.request.conversation is None:
            remedy = "Press the button below the answer in question."
            raise NotAllowed("You", "hand this conversation over from here", remedy)
        if not pressed.principal.member:
            remedy = "Members of this workspace may."
            raise NotAllowed("Guests", "hand a conversation over", remedy)
        case = Case(
            job_id=job.id,
            conversation=job.request.conversation,
            address=parse(place),
            question=job.request.text,
            answer=job.reply.text if job.reply else "",
            reason="",
            by=pressed.principal.id,
        )
        try:
            self._desk.handover.hand_over(case)
        except SlackError as error:
            raise as_channel_error(error, place) from error

    def _own(self, pressed: Pressed, house: House) -> OwnJobs:
        return OwnJobs(self._desk, pressed.principal.id, house.runs_it(pressed.user))

    async def _do(
        self,
        pressed: Pressed,
        house: House,
        calls: EdgeCalls,
        act: Callable[[], object],
        threads: ThreadPoolExecutor | None = None,
    ) -> None:
        """Do it, or tell whoever pressed why not. Raises a StateError.

        threads: where it is done; None: where everything is.
        """
        try:
            await asyncio.get_running_loop().run_in_executor(threads, act)
        except (UsageError, ChannelError) as error:
            log.info("slack.button_refused", action=pressed.action, error=type(error).__name__)
            notice = calls(
                calls.client.chat_postEphemeral,
                channel=pressed.channel,
                user=pressed.user,
                thread_ts=pressed.thread or None,
                text=refusal(error, house.settings),
            )
            self._errands.run("notice", notice)
        else:
            log.info("slack.button_pressed", action=pressed.action)


def _is_in(address: str, channel: str) -> bool:
    """Whether an address leads to a channel."""
    try:
        return parse(address).channel == channel
    except ChannelRefused:
        return False
