"""A text model in this process: the port between the engine's server and what computes.

`texts.py` and the routes know this and no more; `llama.py` (llama.cpp, GGUF files) implements it.
Nothing here knows HTTP, TGI or a vendor. Start reading at `TextModel`.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class TextToken:
    """A piece of vocabulary in a text. start and stop: characters of that text."""

    id: int
    text: str
    start: int
    stop: int


class Token(NamedTuple):
    """A token with what the model thinks of it.

    id: None where it was not asked for or is not known. text: "" in all but the last token of a
    character that several make up. logprob: its natural logarithm before temperature and
    penalties, None where it is not known. special: whether it is a sign for the model, not text.
    """

    id: int | None
    text: str
    logprob: float | None = None
    special: bool = False


class Chunk(NamedTuple):
    """What the model said in one step: one token, or at last only how the text ended.

    top: the likeliest tokens, likeliest first, as many as the job asks for. finish: set in the
    last chunk alone, which has no token; one that ends a text comes before it, as special. cached:
    tokens of the prompt that were not computed again, the same in every chunk of a text.
    """

    token: Token | None
    top: tuple[Token, ...] = ()
    finish: Literal["length", "eos_token"] | None = None
    cached: int = 0


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn, in this order: penalties, temperature, top_k, top_p, typical_p.

    temperature: 0 takes the likeliest token. The penalties count the prompt too.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    typical_p: float | None = None
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Job:
    """A text to generate, with all that is needed for it."""

    tokens: Sequence[int]
    """The prompt."""
    max_new_tokens: int
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    """Texts that end it; not the model's business."""
    seed: int | None = None
    """The seed to tell, if chance plays a part."""
    repeatable: bool = False
    """Whether the caller named the seed: nothing of other texts may then change a number in it."""
    top_tokens: int = 0
    """How many of the likeliest tokens to tell at each step."""
    identified: bool = False
    """Whether token ids and log probabilities are wanted."""
    grammar: str | None = None
    """What the text must follow, in llguidance's language."""
    prefill: bool = False
    """Whether the prompt's own tokens are to be told; see `TextModel.prefill`."""


class TextModel(Protocol):
    """A loaded model that takes several jobs at a time. Lives in one event loop."""

    async def trained_context(self) -> int:
        """Longest text in tokens that the model was trained for."""

    async def end_of_text(self) -> TextToken:
        """The token that ends a text."""

    async def token_ids(self, text: str, *, special: bool = True) -> list[int]:
        """The ids of a text's tokens. special: add what the model wants at the start."""

    async def tokenize(self, text: str, *, special: bool = True) -> list[TextToken]:
        """The tokens of a text with their places in it."""

    async def render(
        self,
        messages: Sequence[dict[str, Any]],
        tools: Sequence[dict[str, Any]] = (),
    ) -> str:
        """The prompt that the model's own chat template makes of messages and tools.

        messages: with `role` and `content`, a text; control tokens in them are broken up. tools:
        as OpenAI writes them. Raises BadTemplate, also when the template has no place for tools.
        """

    async def prefill(self, tokens: Sequence[int]) -> list[Token]:
        """A prompt's tokens, each with its log probability after those before it.

        The first has none. Works in the slot that `chunks` takes afterwards; when it is cancelled
        it has stopped by the time that it returns. Raises Failed.
        """

    def chunks(self, job: Job, freed: Callable[[], None]) -> AsyncGenerator[Chunk, None]:
        """Generate; closing the iterator stops it within a batch of the prompt or a token.

        freed: called in the event loop once the slot is free again. Raises Failed.
        """

    async def close(self) -> None:
        """Stop every text, and give everything back."""
