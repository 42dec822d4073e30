"""Every setting: typed, documented, validated at start, and read nowhere else.

`llmasos.toml` in the working folder (or `--config`), overridden by the environment
(`LLMASOS_LLM__MODEL` is `model` in `[llm]`). `docs/reference/settings.md` is made
from the docstrings here.
Read once, at start-up, and passed down. Start reading at `Settings` and `load`.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    PrivateAttr,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from llmasos.errors import SettingsError

PREFIX = "LLMASOS_"
CONFIG_NAME = "llmasos.toml"
_HTTP_URL = TypeAdapter(HttpUrl)


def _split(value: object) -> object:
    """A list in the environment is comma-separated."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _resolve_secret(value: object) -> object:
    """`env:NAME` stands for the environment variable NAME."""
    if isinstance(value, str) and value.startswith("env:"):
        name = value.removeprefix("env:")
        if not os.environ.get(name):
            raise ValueError(f"the environment variable {name} is not set")
        return os.environ[name]
    return value


def _not_empty(value: SecretStr) -> SecretStr:
    if not value.get_secret_value():
        raise ValueError("must not be empty")
    return value


def _http_url(value: str) -> str:
    try:
        _HTTP_URL.validate_python(value)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"]) from None
    return value.rstrip("/")


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Secret = Annotated[SecretStr, BeforeValidator(_resolve_secret), AfterValidator(_not_empty)]
Url = Annotated[str, AfterValidator(_http_url)]
Port = Annotated[int, Field(ge=0, le=65535)]


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True
    )


class LLMSettings(_Section):
    """Who generates text."""

    urls: Annotated[tuple[Url, ...], NoDecode, BeforeValidator(_split)] = ()
    """Addresses of Text Generation Inference servers. Empty: the embedded engine."""
    model: str = "smollm2-135m-instruct"
    """The model that the embedded engine serves: a name from `llmasos models list`."""
    api_key: Secret | None = None
    """Bearer token for the servers in `urls`."""
    connect_timeout: float = Field(default=5.0, gt=0)
    """Seconds to wait for a connection."""
    idle_timeout: float = Field(default=120.0, gt=0)
    """Seconds to wait for the next piece of text before giving up."""


class EmbeddingSettings(_Section):
    """Who turns text into vectors."""

    url: Url | None = None
    """Address of a server with `/embed` (Text Embeddings Inference). None: the embedded engine."""
    model: str = "all-minilm-l6-v2"
    """The model that the embedded engine embeds with: a name from `llmasos models list`."""
    api_key: Secret | None = None
    """Bearer token for the server at `url`."""


class EngineSettings(_Section):
    """The embedded engine's own server."""

    host: str = "127.0.0.1"
    """Address it listens on."""
    port: Port = 0
    """Port it listens on; 0 takes a free one."""
    api_key: Secret | None = None
    """Bearer token that it asks for. `llmasos up` makes a random one when none is set."""
    slots: int = Field(default=4, ge=1, le=64)
    """How many texts it generates at the same time, all from one key-value cache."""
    context: int = Field(default=8192, ge=256)
    """Tokens that the key-value cache holds for all slots together."""
    max_concurrent_requests: int = Field(default=128, ge=1)
    """Requests it holds at once; more get 429 `overloaded`."""
    max_input_tokens: int = Field(default=1920, ge=1)
    """Longest prompt in tokens."""
    max_total_tokens: int = Field(default=2048, ge=2)
    """Longest prompt and answer together in tokens."""
    threads: int = Field(default=0, ge=0)
    """Processor threads for generation; 0: as many as there are cores."""


class AgentOverride(_Section):
    """`[agents.NAME]`: what this installation changes in an agent."""

    knowledge: Words | None = None
    """Collections that it searches."""
    model: str | None = None
    """Model alias that it uses."""
    instructions: str | None = None
    """Its instructions."""
    users: Words | None = None
    """Principals, `team:…`, `channel:…` or `group:…` who may use it. None: every member."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    """0 is greedy."""
    max_new_tokens: int | None = Field(default=None, ge=1)
    """Longest answer in tokens."""


class SlackChannelSettings(_Section):
    """`[slack.channels.C0123]`: how the bot behaves in one channel."""

    agent: str | None = None
    """The agent that answers here."""
    follow_up: bool | None = None
    """Whether it answers in a thread of its own without being mentioned again."""


class SlackSettings(_Section):
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
    channels: dict[str, SlackChannelSettings] = Field(default_factory=dict)
    """Settings of single channels, by id."""
    update_interval: float = Field(default=3.0, ge=0)
    """Seconds between two updates of a message in a channel (Slack advises 3)."""
    stream_seconds: float = Field(default=240.0, gt=0, le=290)
    """Age at which a stream in a direct message is closed and a new one begun."""


class WebSettings(_Section):
    """The HTTP API, webhooks and Slack's HTTP events: one server."""

    host: str = "127.0.0.1"
    """Address it listens on: one of this machine's loopback addresses."""
    port: Port = 8317
    """Port it listens on; 0 takes a free one."""
    max_body_bytes: int = Field(default=1_000_000, ge=1_000)
    """Largest request body."""


class WebhookSettings(_Section):
    """`[[webhooks]]`: a signed address that makes jobs."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    """The last part of its address: `POST /hooks/NAME`."""
    source: str = "generic"
    """Who signs it and how: `generic`, or a plug-in's name."""
    secret: Secret
    """`env:NAME` or the literal secret."""
    agent: str = "auto"
    """The agent that answers."""
    prompt: str = "{{ body.text }}"
    """Jinja template of the message, over `body` and `headers`."""
    when: str | None = None
    """Jinja expression; a delivery for which it is false makes no job."""
    reply_to: Words = ()
    """Where the answer goes: `slack:C0123` or a URL. Empty: read the job."""


class CallbackSettings(_Section):
    """Answers that are sent to a URL (`reply_to = ["https://…"]`)."""

    secret: Secret | None = None
    """Signs them the Standard Webhooks way: `whsec_…` or any text. None: answers go to no URL."""
    allow_private: bool = False
    """Whether they may go to private addresses, such as 10.0.0.5 or localhost."""
    timeout: float = Field(default=10.0, gt=0)
    """Seconds that the receiver has to answer."""


class WorkerSettings(_Section):
    """The processes that run agents."""

    processes: int = Field(default=1, ge=0, le=64)
    """How many workers `llmasos up` starts."""
    threads: int = Field(default=8, ge=1, le=256)
    """Jobs that one worker runs at the same time."""
    lease_seconds: float = Field(default=15.0, gt=0)
    """After how long without a heartbeat another worker takes a job over."""
    max_failures: int = Field(default=3, ge=1)
    """How often a job may fail."""
    max_lost_leases: int = Field(default=10, ge=1)
    """How often a job's worker may vanish."""
    drain_seconds: float = Field(default=10.0, ge=0)
    """How long running jobs may go on after SIGTERM."""


class JobSettings(_Section):
    """Limits on requests and jobs."""

    max_text: int = Field(default=20_000, ge=1)
    """Longest message in characters."""
    max_attachments: int = Field(default=10, ge=0)
    """Most files with one message."""
    deadline_seconds: float = Field(default=600.0, gt=0)
    """How long a job may run before it is failed."""


class AgentsSettings(BaseModel):
    """Which agents there are beside the built-in ones, and what is changed in them."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    load: Words = ()
    """`module:name`, a Python file, or a folder whose module-level agents are found."""
    overrides: dict[str, AgentOverride] = Field(default_factory=dict)
    """`[agents.NAME]` tables."""


def _agents(value: object) -> object:
    """`agents = [...]`, or tables `[agents.NAME]` with `load = [...]` in `[agents]`."""
    if isinstance(value, (str, list, tuple)):
        return {"load": _split(value)}
    if isinstance(value, Mapping) and "overrides" not in value:
        tables = {key: table for key, table in value.items() if key != "load"}
        return {"load": value.get("load", ()), "overrides": tables}
    return value


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
    agents: Annotated[AgentsSettings, NoDecode, BeforeValidator(_agents)] = AgentsSettings()
    """Agents of your own, and changes to those there are."""
    llm: LLMSettings = LLMSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    engine: EngineSettings = EngineSettings()
    worker: WorkerSettings = WorkerSettings()
    jobs: JobSettings = JobSettings()
    web: WebSettings = WebSettings()
    slack: SlackSettings = SlackSettings()
    webhooks: tuple[WebhookSettings, ...] = ()
    """Signed addresses that make jobs, one `[[webhooks]]` each."""
    callbacks: CallbackSettings = CallbackSettings()

    _folder: Path = PrivateAttr(default_factory=Path.cwd)

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


def load(config: Path | None = None) -> Settings:
    """Read `llmasos.toml` and the environment.

    config: the file; None takes `llmasos.toml` in the working folder if there is one.
    Raises SettingsError for the first wrong setting, with its name, value and what is allowed.
    """
    path = config or Path.cwd() / CONFIG_NAME
    if config and not path.is_file():
        raise SettingsError("--config", str(path), "there is no such file")
    plain = _read(path) if path.is_file() else {}
    folder = path.parent.resolve()
    _refuse_unknown_variables()
    try:
        settings = Settings(**plain)
    except ValidationError as error:
        raise _explain(error, path if plain else None) from None
    return _rooted(settings, folder)


def _rooted(settings: Settings, folder: Path) -> Settings:
    """Settle where a relative home starts: here if the environment names it, else at the file."""
    base = Path.cwd() if os.environ.get(f"{PREFIX}HOME") else folder
    rooted = settings.model_copy(update={"home": (base / settings.home).resolve()})
    rooted._folder = folder
    return rooted


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(str(path), "", f"cannot be read: {error}") from error


def _refuse_unknown_variables() -> None:
    """A misspelt variable would be ignored silently; say so instead."""
    known = set(Settings.model_fields)
    for name in sorted(os.environ):
        if name.startswith(PREFIX):
            head = name.removeprefix(PREFIX).split("__")[0].lower()
            if head not in known:
                raise SettingsError(name, "", f"there is no such setting.{_hint(head, known)}")


def _hint(name: str, known: set[str]) -> str:
    close = get_close_matches(name, sorted(known), n=1)
    return f" Did you mean {PREFIX}{close[0].upper()} ([{close[0]}] in the file)?" if close else ""


def _explain(error: ValidationError, path: Path | None) -> SettingsError:
    """The first mistake, in terms of the file and the variable. Secrets are not repeated."""
    first = error.errors()[0]
    where = [str(part) for part in first["loc"]]
    name = ".".join(where)
    secret = any(word in name.lower() for word in ("token", "secret", "key", "url"))
    given = first.get("input")
    value = "" if secret or isinstance(given, (dict, list, BaseModel)) else repr(given)
    if first["type"] == "extra_forbidden":
        reason = "there is no such setting." + _hint_in(where)
    else:
        reason = first["msg"].removeprefix("Value error, ")
    variable = PREFIX + "__".join(part.upper() for part in where)
    file = f"{path.name} or " if path else ""
    return SettingsError(name, value, f"{reason} (set in {file}{variable})")


def _hint_in(where: list[str]) -> str:
    """The nearest setting of the same section."""
    fields: dict[str, Any] = dict(Settings.model_fields)
    for part in where[:-1]:
        annotation = fields[part].annotation if part in fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ""
        fields = dict(annotation.model_fields)
    close = get_close_matches(where[-1], list(fields), n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"{hint} Known here: {', '.join(sorted(fields))}."


def redacted(settings: Settings) -> dict[str, Any]:
    """The settings as plain values that may be shown: secrets and passwords in URLs hidden."""
    plain = settings.model_dump(mode="json")
    for name in ("database_url", "broker_url", "bus_url"):
        plain[name] = without_password(plain[name]) if plain[name] else None
    return plain


def without_password(url: str) -> str:
    """A URL that may be shown: the password in it hidden."""
    return re.sub(r"(?<=:)[^:/@]+(?=@)", "***", url)


def environment(**changes: str) -> dict[str, str]:
    """The environment for a child process: ours, with some variables set."""
    return {**os.environ, **changes}


def prefer(**variables: str) -> None:
    """Set variables for the libraries of this process, those that are set already left alone."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)
