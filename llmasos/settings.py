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
from typing import Annotated, Any, Literal, Self

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
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from llmasos.errors import SettingsError, nearest
from llmasos.request import Queue

PREFIX = "LLMASOS_"
CONFIG_NAME = "llmasos.toml"
DEFAULT_MODEL = "default"
"""The model that is used where none is named."""
EMBEDDED = "embedded"
"""What stands for the address of the running system's own engine."""
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
Queues = Annotated[tuple[Queue, ...], NoDecode, BeforeValidator(_split), Field(min_length=1)]
Secret = Annotated[SecretStr, BeforeValidator(_resolve_secret), AfterValidator(_not_empty)]
Url = Annotated[str, AfterValidator(_http_url)]
Port = Annotated[int, Field(ge=0, le=65535)]


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True
    )


def _server(value: str) -> str:
    return value if value == EMBEDDED else _http_url(value)


def _backend(value: object) -> object:
    """An address alone is a backend that says nothing more."""
    return {"url": value} if isinstance(value, str) else value


class BackendSettings(_Section):
    """`[[llm.models.NAME.backends]]`: one server of a model. An address alone will do as well."""

    url: Annotated[str, AfterValidator(_server)]
    """Its address, or `embedded` for this system's own engine."""
    kind: Literal["tgi", "openai"] | None = None
    """`tgi`, or `openai` for vLLM, SGLang, llama-server and their like. None: it is asked."""
    model: str | None = None
    """The model to ask of it, where it serves several."""
    api_key: Secret | None = None
    """Its bearer token."""
    slots: int = Field(default=8, ge=1)
    """How many requests it works on at the same time. One with more slots gets more of them."""
    context: int | None = Field(default=None, ge=2)
    """Tokens of prompt and answer together, for an OpenAI-compatible server that does not tell."""


class ModelAlias(_Section):
    """`[llm.models.NAME]`: a model as agents name it, and who serves it."""

    backends: Annotated[
        tuple[Annotated[BackendSettings, BeforeValidator(_backend)], ...], Field(min_length=1)
    ]
    """The servers that serve it: addresses, or tables with more about each."""
    fallback: Words = ()
    """Other models to ask, in this order, when none of its own servers can take a request."""


class LLMSettings(_Section):
    """Who generates text."""

    urls: Annotated[tuple[Url, ...], NoDecode, BeforeValidator(_split)] = ()
    """Addresses of the servers of the model `default`: Text Generation Inference, or any
    OpenAI-compatible server. Empty: the embedded engine."""
    models: dict[str, ModelAlias] = Field(default_factory=dict)
    """Models by the names that agents use for them. `default` is everybody's who names none."""
    model: str = "default"
    """The text model: a name from `llmasos models list`, NAME@REVISION, or an alias, which
    `llmasos models promote` moves without a restart. The embedded engine may also be given a file.
    """
    api_key: Secret | None = None
    """Bearer token for the servers in `urls`."""
    connect_timeout: float = Field(default=5.0, gt=0)
    """Seconds to wait for a connection."""
    idle_timeout: float = Field(default=120.0, gt=0)
    """Seconds to wait for the next piece of text before giving up."""
    deadline: float = Field(default=300.0, gt=0)
    """Seconds that one answer may take over all servers that are tried for it."""
    patience: float = Field(default=10.0, ge=0)
    """Seconds that a request waits in all while every server is overloaded or restarts."""
    health_interval: float = Field(default=5.0, gt=0)
    """Seconds between two health checks of a server in use. One in doubt is asked more often."""

    @property
    def embedded(self) -> bool:
        """Whether the embedded engine generates text for any model."""
        return any(
            backend.url == EMBEDDED for alias in self.aliases.values() for backend in alias.backends
        )

    @property
    def aliases(self) -> dict[str, ModelAlias]:
        """Every model by its name; `default` is always there."""
        own = tuple(
            BackendSettings(url=url, api_key=self.api_key) for url in self.urls or (EMBEDDED,)
        )
        return {DEFAULT_MODEL: ModelAlias(backends=own), **self.models}

    def with_engine(self, url: str, api_key: SecretStr) -> Self:
        """The same with an engine at an address in the place of the embedded one."""
        engine = BackendSettings(url=url, kind="tgi", api_key=api_key)
        models = {
            name: alias.model_copy(
                update={
                    "backends": tuple(
                        engine if backend.url == EMBEDDED else backend for backend in alias.backends
                    )
                }
            )
            for name, alias in self.aliases.items()
        }
        return self.model_copy(update={"urls": (), "models": models})

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.urls and DEFAULT_MODEL in self.models:
            raise ValueError(
                f"urls and models.{DEFAULT_MODEL} both say who serves '{DEFAULT_MODEL}': leave one "
                "of them out"
            )
        known = tuple(self.aliases)
        for name, alias in self.models.items():
            for other in alias.fallback:
                if other not in known:
                    hint = nearest(other, known)
                    raise ValueError(f"models.{name}.fallback: no model is named '{other}'.{hint}")
        return self


class EmbeddingSettings(_Section):
    """Who turns text into vectors."""

    url: Url | None = None
    """Address of a server with `/embed` (Text Embeddings Inference). None: the embedded engine."""
    model: str = "all-minilm-l6-v2"
    """The model that the embedded engine embeds with: a name from `llmasos models list`."""
    api_key: Secret | None = None
    """Bearer token for the server at `url`."""


class KnowledgeSettings(_Section):
    """How documents are read, cut and kept. The limits keep one bad document from costing much."""

    chunk_tokens: int = Field(default=256, ge=48, le=8192)
    """Longest passage with its headings, in tokens of the embedding model; never more than the
    model reads."""
    chunk_overlap: int = Field(default=0, ge=0, le=1024)
    """Tokens of whole sentences that a passage repeats of the one before it."""
    max_file_bytes: int = Field(default=50_000_000, ge=1)
    """Largest file or page that is read."""
    max_files: int = Field(default=100_000, ge=1)
    """Most files that one call may mean."""
    max_pages: int = Field(default=2_000, ge=1)
    """Most pages of a PDF."""
    max_text: int = Field(default=20_000_000, ge=1)
    """Longest text of a document in characters."""
    max_unpacked_bytes: int = Field(default=500_000_000, ge=1)
    """Most bytes that an archive or an Office document unpacks to."""
    max_upload_bytes: int = Field(default=20_000_000, ge=1_000)
    """Largest body of an upload over HTTP."""
    parse_seconds: float = Field(default=60.0, gt=0)
    """How long the reading of one document may take."""
    parse_memory: int = Field(default=2_000_000_000, ge=200_000_000)
    """How many bytes of memory the process that reads documents may take."""
    page_seconds: float = Field(default=30.0, gt=0)
    """How long the fetching of a web page may take."""
    allow_private_pages: bool = False
    """Whether web pages may be fetched from private addresses, such as 10.0.0.5 or localhost."""
    keep_versions: int = Field(default=2, ge=0, le=100)
    """Earlier versions of a collection that stay for `llmasos knowledge rollback`; each takes disk
    space of its own."""


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
    max_best_of: int = Field(default=2, ge=1, le=64)
    """Texts that one request may have generated to choose the likeliest; see `best_of`."""
    max_stop_sequences: int = Field(default=4, ge=0)
    """Stop sequences of one request."""
    max_top_n_tokens: int = Field(default=5, ge=0, le=100)
    """Likeliest tokens that a request may be told at each step."""
    max_client_batch_size: int = Field(default=4, ge=1)
    """Prompts in one request to `/v1/completions`."""
    threads: int = Field(default=0, ge=0)
    """Processor threads for generation; 0: as many as there are cores."""
    idle_seconds: float = Field(default=300.0, gt=0)
    """Seconds without a request after which an engine that a program or a command started ends."""


class HubSettings(_Section):
    """The Hugging Face Hub that models are fetched from."""

    url: Url | None = None
    """Its address. None: the public one."""
    token: Secret | None = None
    """Read token (`hf_…`): gated models, such as Llama and Gemma, ask for one."""


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
    concurrency: int | None = Field(default=None, ge=1)
    """How many of its jobs run at a time. None: as many as there are threads."""


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
    queue: Queue = Queue.INTERACTIVE
    """What its jobs wait in: `interactive`, or `batch` if nobody waits for them."""


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
    queues: Queues = tuple(Queue)
    """What it takes jobs from: `interactive`, `batch`."""
    batch_threads: int | None = Field(default=None, ge=1)
    """How many of its threads may run jobs of `batch`. None: half of them, or all of a worker that
    takes no others."""
    lease_seconds: float = Field(default=15.0, gt=0)
    """After how long without a heartbeat another worker takes a job over."""
    max_failures: int = Field(default=3, ge=1)
    """How often a job may fail."""
    max_lost_leases: int = Field(default=10, ge=1)
    """How often a job's worker may vanish."""
    drain_seconds: float = Field(default=10.0, ge=0)
    """How long running jobs may go on after SIGTERM."""

    @property
    def threads_for_batch(self) -> int:
        """How many threads may run jobs of `batch`, the default filled in."""
        most = self.threads if Queue.INTERACTIVE not in self.queues else max(1, self.threads // 2)
        return min(self.batch_threads or most, self.threads)


class JobSettings(_Section):
    """Limits on requests and jobs."""

    max_text: int = Field(default=20_000, ge=1)
    """Longest message in characters."""
    max_attachments: int = Field(default=10, ge=0)
    """Most files with one message."""
    deadline_seconds: float = Field(default=600.0, gt=0)
    """How long a job may run before it is failed."""
    per_user: int = Field(default=0, ge=0)
    """How many jobs of one person, key or webhook run at a time. 0: as many as can."""


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
    hub: HubSettings = HubSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    engine: EngineSettings = EngineSettings()
    worker: WorkerSettings = WorkerSettings()
    jobs: JobSettings = JobSettings()
    web: WebSettings = WebSettings()
    slack: SlackSettings = SlackSettings()
    webhooks: tuple[WebhookSettings, ...] = ()
    """Signed addresses that make jobs, one `[[webhooks]]` each."""
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


def load(config: Path | None = None) -> Settings:
    """Read `llmasos.toml` and the environment.

    config: the file; None takes `llmasos.toml` in the working folder if there is one.
    Raises SettingsError for the first wrong setting, with its name, value and what is allowed.
    """
    path = config or Path.cwd() / CONFIG_NAME
    if config and not path.is_file():
        raise SettingsError("--config", str(path), "there is no such file")
    plain = _read(path) if path.exists() else {}
    folder = path.parent.resolve()
    _refuse_unknown_variables()
    try:
        settings = Settings(**plain)
    except ValidationError as error:
        raise _explain(error, path if plain else None) from None
    rooted = _rooted(settings, folder)
    rooted._file = path.resolve() if path.is_file() else None
    return rooted


def _rooted(settings: Settings, folder: Path) -> Settings:
    """Settle where a relative home starts: here if the environment names it, else at the file."""
    base = Path.cwd() if os.environ.get(f"{PREFIX}HOME") else folder
    rooted = settings.model_copy(update={"home": (base / settings.home).resolve()})
    rooted._folder = folder
    return rooted


def replaced(settings: Settings, **sections: BaseModel) -> Settings:
    """The settings with other sections: no longer those of the file, and so not read from it again.

    sections: by their names, such as `llm`.
    """
    other = settings.model_copy(update=sections)
    other._file = None
    return other


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
