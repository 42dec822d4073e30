"""Settings of the Slack bot."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from llmasos.settings.kinds import Secret, Section, Words


class SlackChannelSettings(Section):
    """`[slack.channels.C0123]`: how the bot behaves in one channel."""

    agent: str | None = None
    """The agent that answers here."""
    follow_up: bool | None = None
    """Whether it answers in a thread of its own without being mentioned again."""


class SlackSettings(Section):
    """The Slack bot; it stays off without a bot token."""

    bot_token: Secret | None = None
    """Bot token (`xoxb-…`)."""
    app_token: Secret | None = None
    """App-level token (`xapp-…`): with it the bot runs in Socket Mode."""
    signing_secret: Secret | None = None
    """Signing secret: with it, and no app token, Slack's events are taken over HTTP."""
    api_url: str = "https://slack.com/api/"
    """Base of Slack's Web API methods; it ends in `/api/`."""
    default_agent: str = "auto"
    """The agent that answers where no other is bound; `auto` is the router."""
    follow_up: bool = True
    """Whether it answers in a thread of its own without being mentioned again."""
    handoff: Annotated[str, StringConstraints(pattern=r"^[CGS][A-Z0-9]{1,30}$")] | None = None
    """Who is asked when a person is needed: a channel (`C0123`) or a user group (`S0123`)."""
    commands: tuple[Literal["/ask", "/agent", "/jobs"], ...] = ("/ask", "/agent", "/jobs")
    """Slash commands that `llmasos slack manifest` gives the app; leave out those that another app
    of the workspace has."""
    operators: Words = ()
    """Members (`U0123`) or user groups (`S0123`) who run this installation: they may stop and retry
    everybody's jobs, and refusals name them as those to ask."""
    partners: Words = ()
    """Workspaces of other organisations (`T0123`) whose people, met in Slack Connect channels,
    count as members here. People of all others are refused."""
    channels: dict[str, SlackChannelSettings] = Field(default_factory=dict)
    """Settings of single channels, by id."""
    max_file_bytes: int = Field(default=20_000_000, ge=1_000)
    """Largest attached file that is read."""
    update_interval: float = Field(default=3.0, ge=0)
    """Seconds between two updates of a message in a channel (Slack advises 3)."""
    stream_seconds: float = Field(default=240.0, gt=0, le=290)
    """Age at which a stream in a direct message is closed and a new one begun."""
