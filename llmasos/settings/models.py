"""Settings of models: who serves them, how texts are embedded, what the engine may take."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from llmasos.errors import nearest
from llmasos.settings.kinds import (
    DEFAULT_MODEL,
    EMBEDDED,
    Port,
    Secret,
    Section,
    Url,
    Words,
    http_url,
    split,
)


def _server(value: str) -> str:
    return value if value == EMBEDDED else http_url(value)


def _backend(value: object) -> object:
    """An address alone is a backend that says nothing more."""
    return {"url": value} if isinstance(value, str) else value


class BackendSettings(Section):
    """`[[llm.models.NAME.backends]]`: one server of a model. An address alone will do as well."""

    url: Annotated[str, AfterValidator(_server)]
    """Its address, or `embedded` for this system's own engine."""
    kind: Literal["tgi", "openai"] | None = None
    """`tgi`, or `openai` for vLLM, SGLang, llama-server and their like. None: it is asked."""
    model: str | None = None
    """The model to ask of it, where it serves several; the embedded engine serves `llm.model`."""
    api_key: Secret | None = None
    """Its bearer token."""
    slots: int = Field(default=8, ge=1)
    """How many requests it works on at the same time. One with more slots gets more of them."""
    context: int | None = Field(default=None, ge=2)
    """Tokens of prompt and answer together, for an OpenAI-compatible server that does not tell."""

    @model_validator(mode="after")
    def _one_embedded_model(self) -> Self:
        if self.url == EMBEDDED and self.model is not None:
            raise ValueError(
                f"the embedded engine serves llm.model alone, not '{self.model}': set llm.model to "
                "it, or give the address of a server that has it"
            )
        return self


class ModelAlias(Section):
    """`[llm.models.NAME]`: a model as agents name it, and who serves it."""

    backends: Annotated[
        tuple[Annotated[BackendSettings, BeforeValidator(_backend)], ...], Field(min_length=1)
    ]
    """The servers that serve it: addresses, or tables with more about each."""
    fallback: Words = ()
    """Other models to ask, in this order, when none of its own servers can take a request."""
    tools: bool = False
    """Whether it calls tools well. Agents then let it call several in a row; for other models one
    tool at a time is chosen, held by a grammar."""


class LLMSettings(Section):
    """Who generates text."""

    urls: Annotated[tuple[Url, ...], NoDecode, BeforeValidator(split)] = ()
    """Addresses of the servers of the model `default`: Text Generation Inference, or any
    OpenAI-compatible server. Empty: the embedded engine."""
    models: dict[str, ModelAlias] = Field(default_factory=dict)
    """Models by the names that agents use for them. `default` is everybody's who names none."""
    model: str = "default"
    """The text model: a name from `llmasos models list`, NAME@REVISION, or an alias, which
    `llmasos models promote` moves without a restart. The embedded engine may also be given a file.
    """
    tools: bool = False
    """Whether the model `default` calls tools well; `[llm.models.NAME]` says so for the others."""
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
        return {DEFAULT_MODEL: ModelAlias(backends=own, tools=self.tools), **self.models}

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


class EmbeddingSettings(Section):
    """Who turns text into vectors."""

    url: Url | None = None
    """Address of a server with `/embed` (Text Embeddings Inference). None: the embedded engine."""
    model: str = "all-minilm-l6-v2"
    """The model that the embedded engine embeds with: a name from `llmasos models list`."""
    multilingual: bool = False
    """Whether the model reads other languages than English. If not, words count more there."""
    api_key: Secret | None = None
    """Bearer token for the server at `url`."""


class EngineSettings(Section):
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


class HubSettings(Section):
    """The Hugging Face Hub that models are fetched from."""

    url: Url | None = None
    """Its address. None: the public one."""
    token: Secret | None = None
    """Read token (`hf_…`): gated models, such as Llama and Gemma, ask for one."""
