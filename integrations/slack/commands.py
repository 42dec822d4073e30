"""Slash commands: `/ask`, `/agent` and `/jobs`.

A question is stored before Slack is answered; its answer comes the ordinary way, to an address of
`command_channel.py`. What is answered at once is seen by the person alone. Start reading at
`Commands.answer`.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from integrations.slack.address import CHANNEL, MEMBER, Address
from integrations.slack.command_channel import command_address
from integrations.slack.desk import Desk
from integrations.slack.markdown import escaped
from integrations.slack.own_jobs import OwnJobs, job_line
from integrations.slack.refusing import refusal
from integrations.slack.translate import SOURCE, House, chosen_agent, readable
from llmasos.errors import StateError, UsageError
from llmasos.jobs import Job
from llmasos.request import Principal, Request

HELP = {
    "/ask": (
        "`/ask QUESTION` asks; `/ask writing: shorten this …` asks one agent. "
        "The answer comes to this channel if I am in it, else only you see it."
    ),
    "/agent": (
        "`/agent` lists the agents, `/agent NAME` describes one, `/agent NAME QUESTION` asks it."
    ),
    "/jobs": (
        "`/jobs` lists your latest questions, `/jobs ID` shows one with its answer, "
        "`/jobs cancel ID` stops it, `/jobs retry ID` runs it again."
    ),
}
"""What each command does, for people."""
SHORT = {
    "/ask": "Ask a question",
    "/agent": "List the agents, or ask one",
    "/jobs": "See, stop or retry your questions",
}
TAKEN = "I am on it; the answer comes here."
TROUBLE = "⚠️ Your question could not be stored just now. Please send it again in a minute."
ANSWER = 2_800
"""Characters of an answer that `/jobs ID` shows."""


@dataclass(frozen=True)
class Command:
    """A command as somebody gave it, every part of it checked."""

    name: str
    words: str
    user: str
    channel: str
    principal: Principal
    trigger: str
    response_url: str


def to_command(form: Mapping[str, Any], house: House) -> Command | None:
    """The command that a form holds; None when it holds none."""
    name, user, channel = (str(form.get(n) or "") for n in ("command", "user_id", "channel_id"))
    team = str(form.get("team_id") or house.team)
    if not (MEMBER.fullmatch(user) and CHANNEL.fullmatch(channel) and MEMBER.fullmatch(team)):
        return None
    return Command(
        name=name,
        words=readable(str(form.get("text") or ""), house.bot_user),
        user=user,
        channel=channel,
        principal=house.person(user, team, channel),
        trigger=str(form.get("trigger_id") or "")[:100],
        response_url=str(form.get("response_url") or "")[:1000],
    )


class Commands:
    """Answers commands, in Slack's markup."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def answer(self, form: Mapping[str, Any], house: House) -> str:
        """Do what a command says; gives what its person is told at once."""
        command = to_command(form, house)
        if command is None:
            return "⚠️ Slack did not say who asks, or where."
        try:
            return await asyncio.to_thread(self._do, command, house)
        except UsageError as error:
            return refusal(error, house.settings)
        except StateError:
            return TROUBLE

    def _do(self, command: Command, house: House) -> str:
        wants_help = command.words.lower() in ("help", "?")
        if command.name not in HELP or wants_help:
            return HELP.get(command.name) or "\n".join(HELP.values())
        if command.name == "/jobs":
            return self._jobs(command, house)
        if command.name == "/agent":
            return self._agent(command, house)
        if not command.words:
            return HELP["/ask"]
        agent, text = chosen_agent(command.words, command.channel, house)
        return self._ask(command, agent, text, house.named)

    def _ask(self, command: Command, agent: str, text: str, named: str | None) -> str:
        team = command.principal.team
        place = Address(command.channel, None, team, command.user, workspace=named)
        request = Request(
            agent=agent,
            text=text,
            principal=command.principal,
            reply_to=(command_address(place),),
            idempotency_key=f"slack:command:{command.trigger}" if command.trigger else None,
            metadata={"source": SOURCE, "response_url": command.response_url},
        )
        job = self._desk.jobs.submit(request).job
        return f"{TAKEN} (`/jobs {job.id}`)"

    def _agent(self, command: Command, house: House) -> str:
        catalog = self._desk.catalog
        name, _, text = command.words.partition(" ")
        if not name:
            usable = [a for a in catalog if catalog.may_use(a.name, command.principal)]
            lines = [f"• *{agent.name}*: {escaped(agent.description)}" for agent in usable]
            bound, _ = chosen_agent("", command.channel, house)
            return "\n".join(
                [*lines, f"Here answers *{bound}* unless you name another.", HELP["/agent"]]
            )
        agent = catalog.find(name.rstrip(":").lower())
        if text.strip():
            return self._ask(command, agent.name, text.strip(), house.named)
        examples = "".join(f"\n• {escaped(example)}" for example in agent.examples[:5])
        return f"*{agent.name}*: {escaped(agent.description)}{examples}"

    def _jobs(self, command: Command, house: House) -> str:
        own_team = command.principal.team == house.team
        everybodys = own_team and house.runs_it(command.user)
        own = OwnJobs(self._desk, command.principal.id, everybodys)
        match command.words.split():
            case []:
                lines = [_linked(job) for job in own.latest()]
                return "\n".join(lines) or "You have asked nothing yet. Try `/ask`."
            case ["cancel", job_id]:
                job = own.cancel(job_id)
                return f"Job `{job.id}` is {'stopped' if job.status.finished else 'told to stop'}."
            case ["retry", job_id]:
                return f"Job `{own.retry(job_id).id}` is queued again."
            case [job_id]:
                return _described(own.find(job_id))
            case _:
                return HELP["/jobs"]


def _linked(job: Job) -> str:
    return f"`{job.id}` {job_line(job)}: {escaped(' '.join(job.request.text.split())[:80])}"


def _described(job: Job) -> str:
    said = job.reply.text if job.reply else job.error.message if job.error else ""
    return f"{_linked(job)}\n{escaped(said)[:ANSWER]}".strip()
