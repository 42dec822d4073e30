"""All settings together."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, PrivateAttr
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from llmasos.settings.agents import AgentsSettings, tables_of_agents
from llmasos.settings.guards import GuardSettings
from llmasos.settings.jobs import JobSettings, ScheduleSettings, WorkerSettings
from llmasos.settings.kinds import PREFIX
from llmasos.settings.knowledge import KnowledgeSettings
from llmasos.settings.mcp import McpSettings
from llmasos.settings.models import EmbeddingSettings, EngineSettings, HubSettings, LLMSettings
from llmasos.settings.slack import SlackSettings
from llmasos.settings.web import WebSettings
from llmasos.settings.webhooks import CallbackSettings, WebhookSettings


def _named_apart(schedules: tuple[ScheduleSettings, ...]) -> tuple[ScheduleSettings, ...]:
    names = [each.name for each in schedules]
    if len(set(names)) < len(names):
        raise ValueError("two schedules have the same name")
    return schedules


class Settings(BaseSettings):
    """Everything a deployment may change."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    home: Path = Path(".llmasos")
    """Folder of everything kept: models, knowledge, state. Beside `llmasos.toml` by default."""
    database_url: str | None = None
    """SQLAlchemy URL of the durable state (PostgreSQL, SQLite). None: SQLite under `home`."""
    broker_url: str | None = None
    """Celery's broker (Redis, Valkey, RabbitMQ). None: the embedded Valkey."""
    bus_url: str | None = None
    """Redis or Valkey for the streams of job events. None: the embedded Valkey."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """How much is logged. Message texts appear at DEBUG only."""
    log_format: Literal["text", "json"] = "text"
    """Log lines for people or for machines."""
    agents: Annotated[AgentsSettings, NoDecode, BeforeValidator(tables_of_agents)] = (
        AgentsSettings()
    )
    """Agents of your own, and changes to those there are."""
    llm: LLMSettings = LLMSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    hub: HubSettings = HubSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    engine: EngineSettings = EngineSettings()
    worker: WorkerSettings = WorkerSettings()
    jobs: JobSettings = JobSettings()
    guards: GuardSettings = GuardSettings()
    schedules: Annotated[tuple[ScheduleSettings, ...], AfterValidator(_named_apart)] = ()
    """Messages that are sent by the clock, one `[[schedules]]` each."""
    web: WebSettings = WebSettings()
    slack: SlackSettings = SlackSettings()
    webhooks: tuple[WebhookSettings, ...] = ()
    """Signed addresses that make jobs, one `[[webhooks]]` each."""
    mcp: tuple[McpSettings, ...] = ()
    """Servers of the Model Context Protocol whose tools agents may call, one `[[mcp]]` each."""
    callbacks: CallbackSettings = CallbackSettings()

    _folder: Path = PrivateAttr(default_factory=Path.cwd)
    _file: Path | None = PrivateAttr(default=None)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before the file, whose content arrives as arguments."""
        return env_settings, init_settings

    @property
    def folder(self) -> Path:
        """The folder of `llmasos.toml`: relative paths in it start here."""
        return self._folder

    @property
    def file(self) -> Path | None:
        """The file that they were read from; None: there was none, or they are not as it says."""
        return self._file

    @property
    def models_dir(self) -> Path:
        """Where everything pulled is kept; may be copied elsewhere."""
        return self.home / "models"

    @property
    def knowledge_dir(self) -> Path:
        """Where the collections are kept."""
        return self.home / "knowledge"

    @property
    def state_url(self) -> str:
        """The database's URL, the default filled in."""
        return self.database_url or f"sqlite:///{self.home / 'state.db'}"
