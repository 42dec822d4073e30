"""Interactions: buttons that are pressed, the shortcut, and its modal.

Each is read here, every part of it checked, and handed to who acts on it; what must not be lost is
stored before Slack is answered. Who presses a button is asked for their rights again: its value is
seen by every client. Start reading at `Interactions.take`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from integrations.slack.address import MEMBER
from integrations.slack.ask_about import QUESTION, SHORTCUT, modal, to_request
from integrations.slack.commands import TROUBLE
from integrations.slack.comments import COMMENT, to_comment
from integrations.slack.desk import Desk
from integrations.slack.edge_calls import EdgeCalls, Turn
from integrations.slack.errands import Errands
from integrations.slack.translate import House
from llmasos.errors import StateError, UnknownJob, UsageError
from llmasos.request import Principal

log = structlog.get_logger()

INTERACTIONS = ("block_actions", "message_action", "view_submission")
"""Their types."""
Json = dict[str, Any]


@dataclass(frozen=True)
class Pressed:
    """A button that somebody has pressed."""

    action: str
    value: str
    user: str
    principal: Principal
    """Who pressed it."""
    channel: str
    message_ts: str
    """The message that it stands in; empty where it stands in none."""
    thread: str
    """The thread of that message, or the message itself."""
    trigger: str
    """What opens a modal within three seconds."""
    body: Mapping[str, Any]
    """The whole of it, unchecked."""


Action = Callable[[Pressed, House, EdgeCalls], Awaitable[None]]


class Interactions:
    """Takes interactions in, for one bot.

    actions: who acts on a button, by its `action_id` as far as its first colon.
    """

    def __init__(self, desk: Desk, errands: Errands, actions: Mapping[str, Action]) -> None:
        self._desk, self._errands, self._actions = desk, errands, actions

    async def take(self, body: Json, house: House, calls: EdgeCalls) -> Json | None:
        """Act on an interaction; gives what Slack is answered with, None for nothing.

        Raises whatever kept it from being stored.
        """
        match body.get("type"):
            case "block_actions":
                await self._press(body, house, calls)
            case "message_action" if body.get("callback_id") == SHORTCUT:
                self._open_modal(body, calls)
            case "view_submission":
                return await self._submit(body, house)
        return None

    async def _press(self, body: Json, house: House, calls: EdgeCalls) -> None:
        pressed = to_pressed(body, house)
        act = self._actions.get(pressed.action.partition(":")[0]) if pressed else None
        if pressed is not None and act is not None:
            await act(pressed, house, calls)

    def _open_modal(self, body: Json, calls: EdgeCalls) -> None:
        view, trigger = modal(body), body.get("trigger_id")
        if view is not None and isinstance(trigger, str):
            opened = calls(calls.client.views_open, turn=Turn.NOW, trigger_id=trigger, view=view)
            self._errands.run("modal", opened)

    async def _submit(self, body: Json, house: House) -> Json | None:
        view = _table(body.get("view"))
        if view.get("callback_id") == COMMENT:
            await self._comment(view, body, house)
        if view.get("callback_id") != SHORTCUT:
            return None
        try:
            request = to_request(body, house)
            if request is not None:
                job = (await asyncio.to_thread(self._desk.jobs.submit, request)).job
                log.info("slack.asked_about", job=job.id)
        except UsageError as error:
            return _wrong(str(error))
        except StateError:
            return _wrong(TROUBLE)
        return None

    async def _comment(self, view: Mapping[str, Any], body: Json, house: House) -> None:
        """Keep what somebody says about an answer, as their own opinion and nobody else's."""
        comment, by = to_comment(view), presser(body, house)
        if comment is None or by is None:
            return
        record, who = self._desk.feedback.record, house.person(*by, None).id
        try:
            await asyncio.to_thread(record, comment.job_id, who, "bad", comment.text)
        except UnknownJob:
            log.warning("slack.feedback_unknown_job", job=comment.job_id)


def presser(body: Mapping[str, Any], house: House) -> tuple[str, str] | None:
    """Whose interaction it is, and of which workspace; None when that makes no sense."""
    user = _table(body.get("user"))
    who, team = str(user.get("id") or ""), str(user.get("team_id") or house.team)
    return (who, team) if MEMBER.fullmatch(who) and MEMBER.fullmatch(team) else None


def to_pressed(body: Mapping[str, Any], house: House) -> Pressed | None:
    """The button that an interaction names; None when it names none."""
    actions, by = body.get("actions"), presser(body, house)
    first = _table(actions[0]) if isinstance(actions, list) and actions else {}
    if by is None:
        return None
    who, team = by
    container = _table(body.get("container"))
    channel = _table(body.get("channel")).get("id") or container.get("channel_id") or ""
    ts = _table(body.get("message")).get("ts") or container.get("message_ts") or ""
    return Pressed(
        action=str(first.get("action_id") or ""),
        value=str(first.get("value") or "")[:2_000],
        user=who,
        principal=house.person(who, team, str(channel)[:50] or None),
        channel=str(channel)[:50],
        message_ts=str(ts)[:50],
        thread=str(_table(body.get("message")).get("thread_ts") or ts)[:50],
        trigger=str(body.get("trigger_id") or "")[:200],
        body=body,
    )


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _wrong(why: str) -> Json:
    """The modal stays open and says why."""
    return {"response_action": "errors", "errors": {QUESTION: why[:2_000]}}
