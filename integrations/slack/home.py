"""The App Home: my jobs with what can be done about them, and the agents that I may use.

`Home.publish` shows it anew; the buttons come back through `app.py`.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from slack_sdk.models.blocks import (
    Block,
    ButtonElement,
    ContextBlock,
    DividerBlock,
    HeaderBlock,
    PlainTextObject,
    SectionBlock,
)

from integrations.slack.desk import Desk
from integrations.slack.edge_calls import EdgeCalls
from integrations.slack.errands import Errands
from integrations.slack.interactions import Pressed
from integrations.slack.own_jobs import OwnJobs, job_line
from integrations.slack.translate import House
from llmasos.agent import Agent
from llmasos.errors import UsageError
from llmasos.jobs import Job, JobStatus

CANCEL = "llmasos_job_cancel"
RETRY = "llmasos_job_retry"
MOST_AGENTS = 30
NO_JOBS = "You have asked nothing yet. Write to me in Messages, or mention me in a channel."


class Home:
    """Shows each person their home."""

    def __init__(self, desk: Desk, errands: Errands) -> None:
        self._desk, self._errands = desk, errands

    async def act(self, pressed: Pressed, house: House, calls: EdgeCalls) -> None:
        """Stop or retry a job, and show the home as it is then. Raises a StateError."""
        own = OwnJobs(self._desk, pressed.principal.id, house.runs_it(pressed.user))
        change = own.cancel if pressed.action == CANCEL else own.retry
        try:
            await asyncio.to_thread(change, pressed.value)
            notice = ""
        except UsageError as error:
            notice = str(error)
        self._errands.run("home", self.publish(pressed.user, house, calls, notice))

    async def publish(self, user: str, house: House, calls: EdgeCalls, notice: str = "") -> None:
        """Show a member's home as it stands. notice: what came of a button."""
        who = house.person(user, house.team, None)
        own = OwnJobs(self._desk, who.id, everybodys=False)
        latest = await asyncio.to_thread(own.latest)
        catalog = self._desk.catalog
        agents = [agent for agent in catalog if catalog.may_use(agent.name, who)]
        view = home_view(latest, agents, notice)
        await calls(calls.client.views_publish, user_id=user, view=view)


def home_view(latest: Sequence[Job], agents: Sequence[Agent], notice: str = "") -> dict[str, Any]:
    """The view. latest: the person's jobs, newest first; agents: those they may use."""
    blocks: list[Block] = []
    if notice:
        blocks += [ContextBlock(elements=[_plain(notice, 1900)]), DividerBlock()]
    blocks.append(HeaderBlock(text=_plain("Your latest questions", 150)))
    blocks += [_job(job) for job in latest] or [SectionBlock(text=_plain(NO_JOBS, 300))]
    blocks += [DividerBlock(), HeaderBlock(text=_plain("Agents you may use", 150))]
    blocks += [
        SectionBlock(text=_plain(f"{agent.name}: {agent.description}", 400))
        for agent in agents[:MOST_AGENTS]
    ] or [SectionBlock(text=_plain("None. Whoever runs this bot can allow you to.", 300))]
    return {"type": "home", "blocks": [block.to_dict() for block in blocks]}


def _job(job: Job) -> SectionBlock:
    text = f"{job_line(job)}\n{' '.join(job.request.text.split())[:200]}"
    button = None
    if not job.status.finished:
        button = _button("Stop", CANCEL, job.id)
    elif job.status is not JobStatus.SUCCEEDED:
        button = _button("Try again", RETRY, job.id)
    return SectionBlock(text=_plain(text, 400), accessory=button)


def _button(words: str, action: str, job_id: str) -> ButtonElement:
    return ButtonElement(text=PlainTextObject(text=words), action_id=action, value=job_id)


def _plain(text: str, limit: int) -> PlainTextObject:
    return PlainTextObject(text=text[:limit], emoji=False)
