"""The port to text generation: messages and options in, pieces of text out.

`LLM` (llm.py) is what people use; it stands on a `Backend`, and so does the LangChain chat model.
Knows nothing of HTTP or of any server's types.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol, TypedDict

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["system", "user", "assistant", "tool"]


class ToolCall(BaseModel):
    """What a model asks for: a function by its name, with arguments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    arguments: dict[str, Any]


class Message(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    content: str
    author: str = ""
    """Who said it, where several people talk."""
    tool_calls: tuple[ToolCall, ...] = ()
    """What the assistant asked for in this message."""
    tool_call_id: str | None = None
    """The call that a `tool` message answers."""


class ToolSpec(BaseModel):
    """A function that a model may call, as it is described to the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON Schema of the arguments: an object."""


class Sampling(TypedDict, total=False):
    """The options of a call, as keywords. See `Options`."""

    max_new_tokens: int
    temperature: float
    top_p: float
    top_k: int
    stop: Sequence[str]
    seed: int
    repetition_penalty: float
    json_schema: dict[str, Any]
    tools: Sequence[ToolSpec]
    tool_choice: str
    timeout: float


class Options(BaseModel):
    """How text is generated. None leaves a choice to the server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_new_tokens: int = Field(default=256, ge=1)
    """Longest answer in tokens."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """0 is greedy: always the likeliest token."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Sample from the likeliest tokens that hold this share of probability."""
    top_k: int | None = Field(default=None, ge=1)
    """Sample from this many of the likeliest tokens."""
    stop: tuple[str, ...] = Field(default=(), max_length=4)
    """Texts that end the answer; they are not part of it."""
    seed: int | None = Field(default=None, ge=0)
    """Same seed, same text."""
    repetition_penalty: float | None = Field(default=None, gt=0)
    """Above 1: words that were used become less likely."""
    json_schema: dict[str, Any] | None = None
    """JSON Schema that the answer must follow."""
    tools: tuple[ToolSpec, ...] = ()
    """What a chat may call; not together with `json_schema`."""
    tool_choice: str = "auto"
    """`auto`, `none`, `required`, or the name of the one tool to call."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds that the whole answer may take."""

    def merged(self, sampling: Sampling) -> "Options":
        """These options with those that a call names instead; validated.

        `top_p` or `top_k` alone, where nothing names a temperature, sample at temperature 1.
        """
        plain = {**self.model_dump(exclude_unset=True), **sampling}
        if "temperature" not in plain and ("top_p" in plain or "top_k" in plain):
            plain["temperature"] = 1.0
        return Options.model_validate(plain)


class Piece(BaseModel):
    """A piece of generated text. The last one has a `finish_reason` and the counts."""

    model_config = ConfigDict(frozen=True)

    text: str
    finish_reason: str | None = None
    """`length`, `eos_token`, `stop_sequence` or `tool_calls` on the last piece."""
    tool_calls: tuple[ToolCall, ...] = ()
    """On the last piece."""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class ModelInfo(BaseModel):
    """What a backend says of the model that it serves."""

    model_config = ConfigDict(frozen=True)

    model: str
    max_input_tokens: int
    max_total_tokens: int


class Backend(Protocol):
    """Turns messages into text. Implementations: `pool.Pool` over `tgi.TGIBackend` and
    `openai_compatible.OpenAIBackend`; `testing.ScriptedEngine`.

    Every method raises EngineUnavailable, EngineOverloaded, EngineRejected or GenerationFailed.
    Closing an iterator stops the generation at the server.
    """

    def generate(self, prompt: str, options: Options) -> Iterator[Piece]:
        """Go on from a raw prompt."""
        ...

    def chat(self, messages: Sequence[Message], options: Options) -> Iterator[Piece]:
        """Answer the last message, through the model's own chat template."""
        ...

    def count_tokens(self, text: str) -> int:
        """The number of tokens that a text has for this model."""
        ...

    def info(self) -> ModelInfo:
        """The model that is served and its limits."""
        ...


class Usage(BaseModel):
    """What a job used, summed over its calls; mutable, one per job."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_token_ms: float | None = None
    total_ms: float | None = None
