from collections.abc import Callable
from typing import Any

from llmasos.errors import DatabaseUnavailable
from llmasos.jobs import Jobs, JobStatus
from llmasos.settings import Settings
from llmasos.testing.slack import SlackStandIn
from tests.unit.slack.conftest import bot


def said(slack: SlackStandIn, name: str, text: str = "", **more: Any) -> str:
    """What a command is answered with at once."""
    delivery = slack.command(name, text, **more)
    slack.wait(lambda: delivery.acknowledged, 30)
    assert delivery.answer is not None
    assert delivery.answer["response_type"] == "ephemeral"
    return str(delivery.answer["text"])


def test_a_question_is_stored_before_the_command_is_answered(
    running: SlackStandIn, jobs: Jobs
) -> None:
    told = said(running, "/ask", "writing: a poem about <@U0BEN|ben> &amp; me")

    [job] = jobs.list()
    assert job.id in told
    assert (job.agent, job.request.text) == ("writing", "a poem about @ben & me")
    assert job.request.reply_to == ("slack-command:C0GENERAL?team=T0TEAM&user=U0ANN",)
    assert "response_url" not in job.as_json()


def test_a_question_that_cannot_be_stored_is_said_to_be_lost(
    slack: SlackStandIn, slack_settings: Callable[..., Settings], broken: Any
) -> None:
    desk = broken(DatabaseUnavailable("sqlite://", "is locked"), 1)
    with bot(slack_settings(socket=True), desk):
        assert "send it again" in said(slack, "/ask", "Hi?")


def test_help_and_refusals_are_seen_by_the_person_alone(running: SlackStandIn, jobs: Jobs) -> None:
    assert "`/ask QUESTION`" in said(running, "/ask")
    assert "`/jobs cancel ID`" in said(running, "/jobs", "help")
    assert "`/ask QUESTION`" in said(running, "/unknown")
    assert "at most 200" in said(running, "/ask", "word " * 100)
    assert "No agent is named" in said(running, "/agent", "writting a poem")
    assert "[agents.finance]" in said(running, "/ask", "finance: how much?")
    assert jobs.list() == []


def test_agents_are_listed_described_and_asked(running: SlackStandIn, jobs: Jobs) -> None:
    everything = said(running, "/agent")
    one = said(running, "/agent", "writing")
    said(running, "/agent", "writing a poem")

    assert "*customer_service*: Answers." in everything
    assert "finance" not in everything
    assert "Shorten this text" in one
    assert [(job.agent, job.request.text) for job in jobs.list()] == [("writing", "a poem")]


def test_jobs_are_listed_shown_stopped_and_run_again(running: SlackStandIn, jobs: Jobs) -> None:
    said(running, "/ask", "How long do refunds take?")
    [job] = jobs.list()

    listed = said(running, "/jobs")
    shown = said(running, "/jobs", job.id)
    stopped = said(running, "/jobs", f"cancel {job.id}")
    assert jobs.list()[0].status is JobStatus.CANCELLED
    again = said(running, "/jobs", f"retry {job.id}")

    assert f"`{job.id}` ⏳ queued" in listed
    assert "How long do refunds take?" in shown
    assert ("stopped" in stopped, "queued again" in again) == (True, True)
    assert jobs.list()[0].status is JobStatus.QUEUED


def test_jobs_of_others_are_neither_shown_nor_stopped(running: SlackStandIn, jobs: Jobs) -> None:
    said(running, "/ask", "A secret question")
    [job] = jobs.list()

    assert said(running, "/jobs", user="U0BEN").startswith("You have asked nothing")
    for words in (job.id, f"cancel {job.id}", f"retry {job.id}"):
        assert "may not" in said(running, "/jobs", words, user="U0BEN")
    assert "no job" in said(running, "/jobs", "cancel 12345").lower()
    assert jobs.list()[0].status is JobStatus.QUEUED
