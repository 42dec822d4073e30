"""Settings of agents: those of one's own, and changes to those there are."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from llmasos.limits import RunLimits
from llmasos.settings.kinds import Section, Words, split


class SlotSettings(Section):
    """`[agents.NAME.intents.INTENT.slots.SLOT]`: how a tool's argument is found in what customers
    say."""

    pattern: str | None = None
    """Regular expression of the value, or of what stands around it and a group. None: by the type
    that the tool's signature says."""
    ask: str | None = None
    """The question for it. None: made of the argument's description."""


class IntentSettings(Section):
    """`[agents.NAME.intents.INTENT]`: what `customer_service` does for an intent."""

    title: str | None = None
    """What customers are told that it is. None: the intent's name."""
    tool: str | None = None
    """Tool to call: the name of one of the agent's, or `module:name`. None: documents answer."""
    slots: dict[str, SlotSettings] = Field(default_factory=dict)
    """The tool's arguments that are found in another way than by their type."""


class AgentOverride(Section):
    """`[agents.NAME]`: what this installation changes in an agent."""

    knowledge: Words | None = None
    """Collections that it searches."""
    model: str | None = None
    """Model alias that it uses."""
    instructions: str | None = None
    """Its instructions."""
    users: Words | None = None
    """Principals, `team:…`, `channel:…` or `group:…` who may use it. None: every member."""
    reviewers: Words | None = None
    """Who must approve its answers before anyone sees them: `asker`, and what `users` takes."""
    review_in: Words | None = None
    """Addresses where they read them, as `slack:C0123ABCD`; in Slack there are buttons. Empty: only
    where the question was asked, and in the job."""
    answers: str | None = None
    """CSV, TOML or Markdown file of questions and the answers that people have written to them,
    which `customer_service` serves first; relative paths start beside `llmasos.toml`."""
    intents: dict[str, IntentSettings] = Field(default_factory=dict)
    """What is done for each intent that `llmasos agents train` has taught."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    """0 is greedy."""
    max_new_tokens: int | None = Field(default=None, ge=1)
    """Longest answer in tokens."""
    mcp: Words | None = None
    """MCP servers whose tools it may call, by the names of their `[[mcp]]`."""
    limits: RunLimits = RunLimits()
    """What one run of it may use; what is not set stays as the agent has it."""
    concurrency: int | None = Field(default=None, ge=1)
    """How many of its jobs run at a time. None: as many as there are threads."""


class AgentsSettings(BaseModel):
    """Which agents there are beside the built-in ones, and what is changed in them."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    load: Words = ()
    """`module:name`, a Python file, or a folder whose module-level agents are found."""
    overrides: dict[str, AgentOverride] = Field(default_factory=dict)
    """`[agents.NAME]` tables."""


def tables_of_agents(value: object) -> object:
    """`agents = [...]`, or tables `[agents.NAME]` with `load = [...]` in `[agents]`."""
    if isinstance(value, (str, list, tuple)):
        return {"load": split(value)}
    if isinstance(value, Mapping) and "overrides" not in value:
        tables = {key: table for key, table in value.items() if key != "load"}
        return {"load": value.get("load", ()), "overrides": tables}
    return value
