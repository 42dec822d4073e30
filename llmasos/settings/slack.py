"""Settings of the Slack bot."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from llmasos.settings.kinds import Secret, Section, Words


class SlackChannelSettings(Section):
    """`[slack.channels.C0123]`: how the bot behaves in one channel."""

    agent: str | None = None
    """The agent that answers here."""
    follow_up: bool | None = None
    """Whether it answers in a thread of its own without being mentioned again."""


Handoff = Annotated[str, StringConstraints(pattern=r"^[CGS][A-Z0-9]{1,30}$")]


class SlackWorkspaceSettings(Section):
    """`[slack.workspaces.T0123]`: a workspace that may add the app; `"*"` stands for every one."""

    default_agent: str | None = None
    """The agent that answers there where no other is bound."""
    handoff: Handoff | None = None
    """Who is asked there when a person is needed."""


class SlackSettings(Section):
    """The Slack bot; it stays off without a bot token or a client id."""

    bot_token: Secret | None = None
    """Bot token (`xoxb-…`) of the one workspace that the bot is in."""
    client_id: str | None = None
    """Client id of an app that several workspaces add at `/slack/install`, in the place of a bot
    token."""
    client_secret: Secret | None = None
    """Client secret of that app. The workspaces' tokens are sealed with it: after a change each
    workspace adds the app again."""
    workspaces: dict[str, SlackWorkspaceSettings] = Field(default_factory=dict)
    """The workspaces that may add the app, by id; `"*"`: every one."""
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
    handoff: Handoff | None = None
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

    @property
    def on(self) -> bool:
        """Whether there is a bot."""
        return self.bot_token is not None or self.client_id is not None

    def handoff_in(self, workspace: str | None) -> str | None:
        """Who is asked in a workspace when a person is needed."""
        own = self._own(workspace)
        return own.handoff if own and own.handoff else self.handoff

    def default_agent_in(self, workspace: str | None) -> str:
        """The agent that answers in a workspace where no other is bound."""
        own = self._own(workspace)
        return own.default_agent if own and own.default_agent else self.default_agent

    def _own(self, workspace: str | None) -> SlackWorkspaceSettings | None:
        return self.workspaces.get(workspace or "") or self.workspaces.get("*")

    @model_validator(mode="after")
    def _one_kind_of_app(self) -> Self:
        if (self.client_id is None) != (self.client_secret is None):
            raise ValueError("client_id and client_secret belong together: set both or neither")
        if self.client_id is not None and self.bot_token is not None:
            raise ValueError(
                "bot_token and client_id exclude each other: an app is in one workspace with its "
                "token, or in those that add it"
            )
        return self
