"""Every setting: typed, documented, validated at start, and read nowhere else.

`llmasos.toml` in the working folder (or `--config`), overridden by the environment
(`LLMASOS_LLM__MODEL` is `model` in `[llm]`). `docs/reference/settings.md` is made
from the docstrings here.
Read once, at start-up, and passed down. Start reading at `Settings` and `load`.
"""

from llmasos.settings.agents import AgentOverride, AgentsSettings, IntentSettings, SlotSettings
from llmasos.settings.guards import GuardSettings
from llmasos.settings.jobs import BudgetSettings, JobSettings, ScheduleSettings, WorkerSettings
from llmasos.settings.kinds import DEFAULT_MODEL, EMBEDDED, PREFIX, Secret, Url
from llmasos.settings.knowledge import KnowledgeSettings
from llmasos.settings.loading import (
    CONFIG_NAME,
    environment,
    load,
    prefer,
    redacted,
    replaced,
    without_password,
)
from llmasos.settings.mcp import McpSettings
from llmasos.settings.models import (
    BackendSettings,
    EmbeddingSettings,
    EngineSettings,
    HubSettings,
    LLMSettings,
    ModelAlias,
)
from llmasos.settings.slack import (
    SlackChannelSettings,
    SlackSettings,
    SlackWorkspaceSettings,
)
from llmasos.settings.web import WebSettings
from llmasos.settings.webhooks import CallbackSettings, WebhookSettings
from llmasos.settings.whole import Settings

__all__ = [
    "CONFIG_NAME",
    "DEFAULT_MODEL",
    "EMBEDDED",
    "PREFIX",
    "AgentOverride",
    "AgentsSettings",
    "BackendSettings",
    "BudgetSettings",
    "CallbackSettings",
    "EmbeddingSettings",
    "EngineSettings",
    "GuardSettings",
    "HubSettings",
    "IntentSettings",
    "JobSettings",
    "KnowledgeSettings",
    "LLMSettings",
    "McpSettings",
    "ModelAlias",
    "ScheduleSettings",
    "Secret",
    "Settings",
    "SlackChannelSettings",
    "SlackSettings",
    "SlackWorkspaceSettings",
    "SlotSettings",
    "Url",
    "WebSettings",
    "WebhookSettings",
    "WorkerSettings",
    "environment",
    "load",
    "prefer",
    "redacted",
    "replaced",
    "without_password",
]
