"""What OpenAI's requests look like, as TGI takes them: chats with tools, and completions.

Shapes only, like `schemas.py`, on which it stands. What is in OpenAI's API but not in TGI's
contract is named here too where to ignore it would change the answer.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from llmasos.engine.schemas import Count, Seed, without_nulls

_NullIsAbsent = BeforeValidator(without_nulls)


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class ContentPart(_Body):
    """A part of a message. Only those of type `text` have a text."""

    type: str
    text: str | None = None


class CalledFunction(_Body):
    """What was called, and with what: an object, or its JSON as a text."""

    name: str
    arguments: Any = None


class ToolCall(_Body):
    """A call that the assistant made earlier in the conversation."""

    id: str | int = ""
    function: Annotated[CalledFunction, _NullIsAbsent]


class ChatMessage(_Body):
    """One message: a text, parts of it, or the calls that the assistant made."""

    role: str
    content: str | list[Annotated[ContentPart, _NullIsAbsent]] | None = None
    name: str | None = None
    tool_calls: list[Annotated[ToolCall, _NullIsAbsent]] = []
    tool_call_id: str | None = None


class Function(_Body):
    """A function that may be called. parameters: JSON Schema; TGI's contract says `arguments`."""

    name: str
    description: str = ""
    parameters: Any = None
    arguments: Any = None


class Tool(_Body):
    """What a model may call; there are only functions."""

    type: str = "function"
    function: Annotated[Function, _NullIsAbsent]


class FunctionName(_Body):
    """A function by its name."""

    name: str


class NamedTool(_Body):
    """The choice of one function."""

    function: FunctionName


class ResponseFormat(_Body):
    """What the answer must follow. TGI has the schema in `value`, OpenAI in `json_schema`."""

    type: str
    value: Any = None
    json_schema: Any = None


class StreamOptions(_Body):
    """What a stream tells beside the text."""

    include_usage: bool = False


class _Request(_Body):
    """What chats and completions have in common."""

    stream: bool = False
    stream_options: Annotated[StreamOptions, _NullIsAbsent] = StreamOptions()
    max_tokens: Count | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: Seed | None = None
    stop: str | list[str] = []
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Any = None
    n: int | None = None

    @property
    def stops(self) -> list[str]:
        """The stop sequences; OpenAI's clients may send one alone."""
        return [self.stop] if isinstance(self.stop, str) else self.stop


class ChatRequest(_Request):
    """A conversation to answer."""

    messages: list[Annotated[ChatMessage, _NullIsAbsent]]
    max_completion_tokens: Count | None = None
    logprobs: bool = False
    top_logprobs: Count | None = None
    response_format: Annotated[ResponseFormat, _NullIsAbsent] | None = None
    tools: list[Annotated[Tool, _NullIsAbsent]] = []
    tool_choice: str | NamedTool = "auto"
    tool_prompt: str = ""
    guideline: str | None = None


class CompletionRequest(_Request):
    """Prompts to go on from."""

    prompt: str | list[str] = Field(min_length=1)
    repetition_penalty: float | None = None
    suffix: str | None = None
    best_of: int | None = None
    echo: bool = False
    logprobs: int | None = None

    @property
    def prompts(self) -> list[str]:
        """The prompts, in order."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt
