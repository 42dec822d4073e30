"""Settings of the Slack bot."""

from typing import Annotated

from pydantic import Field, StringConstraints

from llmasos.settings.kinds import Secret, Section


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
    channels: dict[str, SlackChannelSettings] = Field(default_factory=dict)
    """Settings of single channels, by id."""
    update_interval: float = Field(default=3.0, ge=0)
    """Seconds between two updates of a message in a channel (Slack advises 3)."""
    stream_seconds: float = Field(default=240.0, gt=0, le=290)
    """Age at which a stream in a direct message is closed and a new one begun."""
