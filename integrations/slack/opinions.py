"""What people think of an answer, by the buttons below it."""

import asyncio
import re
from typing import cast

import structlog

from integrations.slack.comments import comment_modal
from integrations.slack.desk import Desk
from integrations.slack.edge_calls import EdgeCalls, Turn
from integrations.slack.errands import Errands
from integrations.slack.interactions import Pressed
from integrations.slack.translate import House
from llmasos.errors import UnknownJob
from llmasos.feedback import Opinion

log = structlog.get_logger()

_OPINION = re.compile(r"(good|bad):([0-9A-Za-z_-]{1,64})")


class Opinions:
    """Keeps opinions."""

    def __init__(self, desk: Desk, errands: Errands) -> None:
        self._desk, self._errands = desk, errands

    async def keep(self, pressed: Pressed, house: House, calls: EdgeCalls) -> None:
        """Keep what a person thinks of an answer, and ask what was wrong with a bad one.

        Raises a StateError when it cannot be kept.
        """
        found = _OPINION.fullmatch(pressed.value)
        if not found:
            return
        opinion, job_id = cast(Opinion, found.group(1)), found.group(2)
        try:
            await asyncio.to_thread(
                self._desk.feedback.record, job_id, pressed.principal.id, opinion
            )
        except UnknownJob:
            log.warning("slack.feedback_unknown_job", job=job_id)
            return
        if opinion == "bad" and pressed.trigger:
            view, opened = comment_modal(job_id), calls.client.views_open
            modal = calls(opened, turn=Turn.NOW, trigger_id=pressed.trigger, view=view)
            self._errands.run("comment", modal)
