"""Intake: what happens in Slack becomes a job, a cancellation or a correction before Slack is told.

Only what must not be lost is done before the acknowledgement; if it cannot be stored, Slack gets
none and delivers again. The rest (notices, titles, prompts) are errands. Start reading at
`Intake.take`.
"""

import asyncio
import contextvars
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import structlog

from integrations.slack.blocks import metadata
from integrations.slack.bots import Bot
from integrations.slack.desk import Desk
from integrations.slack.edge_calls import EdgeCalls, Turn
from integrations.slack.errands import Errands
from integrations.slack.home import Home
from integrations.slack.manifest import first_examples
from integrations.slack.own_jobs import OwnJobs
from integrations.slack.people import People
from integrations.slack.refusing import refusal
from integrations.slack.translate import (
    Event,
    House,
    addressed,
    mentioned,
    to_deletion,
    to_edit,
    to_request,
    to_stop,
    viewed_channel,
)
from llmasos.errors import IdempotencyConflict, NotAllowed, UsageError
from llmasos.jobs import Submitted
from llmasos.request import Request
from llmasos.settings import SlackSettings

log = structlog.get_logger()

HEARD = (
    "agent_session_stopped",
    "app_context_changed",
    "app_home_opened",
    "app_mention",
    "message",
)
"""The events that may be for us."""
THREADS = 32
"""Messages that are stored at a time: they wait for the disk, which takes all of them at once."""
REMEMBERED = 1_000
"""How many messages are remembered that were stored, and that were refused."""
VIEWED = 12 * 3600.0
"""Seconds for which it is known what a person looks at."""
TITLE = 60
"""Characters of a session's title."""


class Intake:
    """Takes events in, for one bot."""

    def __init__(self, desk: Desk, settings: SlackSettings, errands: Errands, home: Home) -> None:
        self._desk, self._settings, self._errands, self._home = desk, settings, errands, home
        named = [user for agent in desk.catalog for user in agent.users or ()]
        named += [f"group:{each}" for each in settings.operators if each.startswith("S")]
        self._needs_groups = any(each.startswith("group:") for each in named)
        self._people: dict[str, People] = {}
        self._told: OrderedDict[object, None] = OrderedDict()
        self._storing: dict[str, asyncio.Event] = {}
        self._stored: OrderedDict[str, None] = OrderedDict()
        self._threads = ThreadPoolExecutor(THREADS, "slack-intake")

    def hears(self, event: object) -> bool:
        """Whether an event may be for us."""
        return isinstance(event, dict) and event.get("type") in HEARD

    async def take(self, event: Event, house: House, calls: EdgeCalls) -> None:
        """Do what an event that `hears` lets through asks for.

        Raises whatever kept it from being stored.
        """
        match event.get("type"):
            case "agent_session_stopped":
                await self._stopped(event, house, calls)
            case "app_context_changed":
                await self._view(event, house)
            case "app_home_opened":
                self._opened(event, house, calls)
            case _:
                await self._message(event, house, calls)

    async def house(self, bot: Bot) -> House:
        """What must be known of our side. bot: that of the workspace where something happened."""
        people = self._people.get(bot.team)
        if people is None:
            people = self._people[bot.team] = People(self._errands, needed=self._needs_groups)
        return House(
            bot.team,
            bot.user,
            self._settings,
            tuple(self._desk.catalog.names()),
            self._desk.conversations.known,
            groups=await people.groups(bot.calls),
            viewed=lambda user: self._desk.bus.pinned(_board(bot.team, user)).get("channel"),
            named=bot.named,
        )

    async def _message(self, event: Event, house: House, calls: EdgeCalls) -> None:
        match event.get("subtype"):
            case "message_changed":
                await self._edited(event, house, calls)
            case "message_deleted":
                await self._deleted(event, house)
            case _:
                await self._said(event, house, calls)

    async def _said(self, event: Event, house: House, calls: EdgeCalls) -> None:
        """Take a message in. A mention comes twice: what was stored already asks nobody again."""
        key = house.key(str(event.get("channel")), str(event.get("ts")))
        while (under_way := self._storing.get(key)) is not None:
            await under_way.wait()
        if key in self._stored:
            log.debug("slack.twin", channel=event.get("channel"))
            return
        self._storing[key] = asyncio.Event()
        try:
            await self._take_in(event, house, calls)
        finally:
            self._storing.pop(key).set()

    async def _take_in(self, event: Event, house: House, calls: EdgeCalls) -> None:
        try:
            here = contextvars.copy_context()  # the log names the request
            submitted = await asyncio.get_running_loop().run_in_executor(
                self._threads, here.run, self._store, event, house
            )
        except IdempotencyConflict:
            log.info("slack.twin", channel=event.get("channel"))  # it has its job already
        except UsageError as error:
            in_channel = event.get("type") == "message" and event.get("channel_type") != "im"
            if not (in_channel and addressed(event, house.bot_user)):  # its twin is answered
                self._tell(error, event, str(event.get("ts")), calls)
        else:
            if submitted is not None:
                self._stored[str(submitted.job.request.idempotency_key)] = None
                while len(self._stored) > REMEMBERED:
                    self._stored.popitem(last=False)
                log.info("slack.received", job=submitted.job.id, new=submitted.new)
                if submitted.new:
                    self._entitle(submitted.job.request, event, calls)

    def _store(self, event: Event, house: House) -> Submitted | None:
        request = to_request(event, house)
        if request is None or self._is_quiet(request, event, house):
            return None
        return self._desk.jobs.submit(request)

    def _is_quiet(self, request: Request, event: Event, house: House) -> bool:
        """Whether a person has taken over the conversation; who mentions the bot asks it back."""
        if event.get("thread_ts") in (None, event.get("ts")):
            return False  # it has just begun
        conversation, handoffs = request.conversation, self._desk.handoffs
        if conversation is None or not handoffs.quiet(conversation):
            return False
        if not mentioned(event, house.bot_user):
            return True
        handoffs.end(conversation)
        return False

    async def _edited(self, event: Event, house: House, calls: EdgeCalls) -> None:
        edit = to_edit(event, house)
        if edit is None:
            return
        try:
            await asyncio.to_thread(self._desk.corrections.edit, edit.request, edit.said, edit.at)
        except UsageError as error:
            place = {**event["message"], "channel": event.get("channel")}
            self._tell(error, place, str(event.get("ts")), calls)

    async def _deleted(self, event: Event, house: House) -> None:
        said = to_deletion(event, house)
        if said is not None:
            job = await asyncio.to_thread(self._desk.corrections.delete, said)
            if job is not None:
                log.info("slack.question_deleted", job=job.id)

    async def _stopped(self, event: Event, house: House, calls: EdgeCalls) -> None:
        """Stop what runs in a session: one's own jobs, an operator everybody's."""
        stop = to_stop(event, house)
        if stop is None:
            return
        own = OwnJobs(self._desk, f"slack:{house.team}:{stop.user}", house.runs_it(stop.user))
        try:
            stopped = await asyncio.to_thread(own.stop, stop.conversation)
        except NotAllowed as error:
            place = {"channel": stop.channel, "ts": stop.thread}
            self._tell(error, place, str(event.get("event_ts")), calls)
            return
        log.info("slack.stopped_by_user", jobs=stopped)
        self._errands.run(
            "session",
            calls(
                calls.client.agents_sessions_setStatus,
                channel_id=stop.channel,
                thread_ts=stop.thread,
                status="active",
            ),
        )

    async def _view(self, event: Event, house: House) -> None:
        """Note where all processes see it what a person looks at."""
        found = viewed_channel(event)
        if found is not None:
            user, channel = found
            pin, board = self._desk.bus.pin, _board(house.team, user)
            await asyncio.to_thread(pin, board, "channel", channel, VIEWED)

    def _opened(self, event: Event, house: House, calls: EdgeCalls) -> None:
        if event.get("tab") == "messages":
            self._offer_prompts(event, calls)
        elif event.get("tab") == "home":
            self._errands.run("home", self._home.publish(str(event.get("user")), house, calls))

    def _offer_prompts(self, event: Event, calls: EdgeCalls) -> None:
        """Offer messages to someone who opens the bot's direct messages."""
        examples = first_examples(self._desk.catalog)[:4]
        prompts = [{"title": each[:75], "message": each} for each in examples]
        if prompts:
            self._errands.run(
                "prompts",
                calls(
                    calls.client.assistant_threads_setSuggestedPrompts,
                    channel_id=str(event.get("channel")),
                    title="Try one of these",
                    prompts=prompts,
                ),
            )

    def _entitle(self, request: Request, event: Event, calls: EdgeCalls) -> None:
        """Open the session of a direct message that begins one, with its question as title."""
        if event.get("channel_type") != "im" or event.get("thread_ts"):
            return
        title = " ".join(request.text.split())
        self._errands.run(
            "session",
            calls(
                calls.client.agents_sessions_setStatus,
                turn=Turn.SPARE,
                channel_id=str(event["channel"]),
                thread_ts=str(event["ts"]),
                status="processing",
                title=title if len(title) <= TITLE else f"{title[: TITLE - 1]}…",
                initiator_user_id=str(event["user"]),
            ),
        )

    def _tell(self, error: UsageError, place: Event, at: str, calls: EdgeCalls) -> None:
        """Say in a thread why something was not done; once for whatever happened `at` that time."""
        log.info("slack.refused", channel=place.get("channel"), error=type(error).__name__)
        what = (place.get("channel"), at)
        if what in self._told:
            return
        self._told[what] = None
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        self._errands.run(
            "notice",
            calls(
                calls.client.chat_postMessage,
                channel=str(place.get("channel")),
                thread_ts=str(place.get("thread_ts") or place.get("ts")),
                text=refusal(error, self._settings),
                metadata=metadata("", 0, final=True),
            ),
        )


def _board(team: str, user: str) -> str:
    """Where it stands what a person looks at."""
    return f"slack.viewed:{team}:{user}"
