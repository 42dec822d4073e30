"""Intake: a message becomes a job before Slack is told that it arrived.

If the job cannot be stored, Slack gets no acknowledgement and delivers again. If it may not be
taken at all (too long, not allowed), the person is told so, once. Start reading at `Intake.take`.
"""

import asyncio
import re
from collections import OrderedDict
from typing import Any, cast

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from integrations.slack.blocks import metadata
from integrations.slack.desk import Desk
from integrations.slack.markdown import escaped
from integrations.slack.translate import HEARD, Event, House, addressed, to_request
from llmasos.errors import IdempotencyConflict, UnknownJob, UsageError
from llmasos.feedback import Opinion
from llmasos.jobs import Submitted
from llmasos.settings import SlackSettings

log = structlog.get_logger()

REMEMBERED = 1_000
"""How many refused messages are remembered, so that a repeat is not answered again."""
UNREACHED = (SlackClientError, aiohttp.ClientError, OSError, TimeoutError)
"""What a call that went wrong raises in the SDK's asynchronous client."""
_OPINION = re.compile(r"(good|bad):([0-9A-Za-z_-]{1,64})")


class Intake:
    """Takes events in, for one bot."""

    def __init__(self, desk: Desk, settings: SlackSettings) -> None:
        self._desk, self._settings = desk, settings
        self._told: OrderedDict[tuple[object, object], None] = OrderedDict()

    async def take(self, event: Event, team: str, bot_user: str, client: AsyncWebClient) -> None:
        """Store the job that an event makes, if it makes one.

        team, bot_user: the installation. Raises whatever kept the job from being stored.
        """
        if event.get("type") not in HEARD:
            return
        house = House(team, bot_user, self._settings, self._desk.agents, self._desk.takes_part)
        try:
            submitted = await asyncio.to_thread(self._store, event, house)
        except IdempotencyConflict:
            log.info("slack.twin", channel=event.get("channel"))  # it has its job already
        except UsageError as error:
            await self._tell(event, house, error, client)
        else:
            if submitted is not None:
                log.info("slack.received", job=submitted.job.id, new=submitted.new)

    def _store(self, event: Event, house: House) -> Submitted | None:
        request = to_request(event, house)
        return self._desk.submit(request) if request else None

    async def _tell(
        self, event: Event, house: House, error: UsageError, client: AsyncWebClient
    ) -> None:
        """Say in the thread why a message was not taken."""
        log.info("slack.refused", channel=event.get("channel"), error=type(error).__name__)
        in_channel = event.get("type") == "message" and event.get("channel_type") != "im"
        if in_channel and addressed(event, house.bot_user):
            return  # its twin, the mention, is answered
        place = (event.get("channel"), event.get("ts"))
        if place in self._told:
            return
        self._told[place] = None
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        try:
            await client.chat_postMessage(
                channel=str(event["channel"]),
                thread_ts=str(event.get("thread_ts") or event["ts"]),
                text=escaped(f"⚠️ {error}")[:3_900],
                metadata=metadata("", 0, final=True),
            )
        except UNREACHED as failed:
            log.warning("slack.notice_lost", error=_reason(failed))

    async def offer_prompts(self, event: Event, client: AsyncWebClient) -> None:
        """Offer messages to someone who opens the bot's direct messages."""
        prompts = [{"title": each[:75], "message": each} for each in self._desk.prompts[:4]]
        if event.get("tab") != "messages" or not prompts:
            return
        try:
            await client.assistant_threads_setSuggestedPrompts(
                channel_id=str(event.get("channel")), title="Try one of these", prompts=prompts
            )
        except UNREACHED as failed:
            log.warning("slack.prompts_not_set", error=_reason(failed))

    async def keep_opinion(self, body: dict[str, Any], team: str) -> None:
        """Keep what a person thinks of an answer."""
        found = _OPINION.fullmatch(str(body["actions"][0].get("value", "")))
        user = body.get("user") or {}
        if not found or not user.get("id"):
            return
        principal = f"slack:{user.get('team_id') or team}:{user['id']}"
        opinion, job_id = cast(Opinion, found.group(1)), found.group(2)
        try:
            await asyncio.to_thread(self._desk.record_feedback, job_id, principal, opinion)
        except UnknownJob:
            log.warning("slack.feedback_unknown_job", job=job_id)


def _reason(error: Exception) -> str:
    """An error of the SDK without the texts that it may carry."""
    if isinstance(error, SlackApiError):
        return str(error.response.get("error"))
    return type(error).__name__
