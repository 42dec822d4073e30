"""From a request to a job: every parameter checked in TGI's words, and put in llama.cpp's terms.

`check` is about the parameters alone, `fit` about the prompt's length. What this server cannot do
is refused, never ignored. Raises `Invalid` throughout. Knows nothing of HTTP.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmasos.engine.grammars import schema_of
from llmasos.engine.refusals import Invalid
from llmasos.engine.schemas import ChatRequest, Parameters

MAX_STOPS = 4
MAX_TOP_TOKENS = 5
MAX_STOP_LENGTH = 1000
DEFAULT_NEW_TOKENS = 1024
_SEEDS = 2**32 - 1  # llama.cpp's seeds have 32 bits, and the last one means "any"


@dataclass(frozen=True)
class Limits:
    """How long a prompt may be, and prompt and answer together, in tokens."""

    input_tokens: int
    total_tokens: int


@dataclass(frozen=True)
class Job:
    """A text to generate, with all that is needed for it."""

    prompt: str
    tokens: Sequence[int]
    max_new_tokens: int
    stop: tuple[str, ...]
    sampling: dict[str, Any]
    """llama.cpp's own parameters."""
    seed: int | None
    """The seed, if chance plays a part."""
    top_tokens: int
    identified: bool
    """Whether token ids and log probabilities are wanted."""
    schema: dict[str, Any] | None = None


def samples(p: Parameters) -> bool:
    """Whether chance plays a part; without it the likeliest token is taken, as in TGI."""
    return (
        p.do_sample
        or (p.temperature is not None and p.temperature != 1.0)
        or any(value is not None for value in (p.top_k, p.top_p, p.typical_p))
    )


def check(p: Parameters, limits: Limits, *, stream: bool) -> None:
    """Refuse parameters that are out of range, or that this server cannot follow."""
    if p.best_of not in (None, 1):
        streaming = "`best_of` != 1 is not supported when streaming tokens"
        raise Invalid(streaming if stream else "`best_of` != 1 is not allowed for this endpoint")
    if p.decoder_input_details:
        when = " when streaming tokens" if stream else " by this server"
        raise Invalid(f"`decoder_input_details` == true is not supported{when}")
    if p.watermark:
        raise Invalid("`watermark` == true is not supported by this server")
    if p.adapter_id is not None:
        raise Invalid("`adapter_id` is not supported by this server: it has no adapters")
    if p.temperature is not None and not p.temperature > 0:
        raise Invalid("`temperature` must be strictly positive")
    if p.repetition_penalty is not None and not p.repetition_penalty > 0:
        raise Invalid("`repetition_penalty` must be strictly positive")
    if p.frequency_penalty is not None and not -2 <= p.frequency_penalty <= 2:
        raise Invalid("`frequency_penalty` must be >= -2.0 and <= 2.0")
    if p.presence_penalty is not None and not -2 <= p.presence_penalty <= 2:
        raise Invalid("`presence_penalty` must be >= -2.0 and <= 2.0")
    if p.top_p is not None and not 0 < p.top_p < 1:
        raise Invalid("`top_p` must be > 0.0 and < 1.0")
    if p.typical_p is not None and not 0 < p.typical_p < 1:
        raise Invalid("`typical_p` must be > 0.0 and < 1.0")
    if p.top_k is not None and not 0 < p.top_k < 2**31:
        raise Invalid("`top_k` must be strictly positive")
    if p.max_new_tokens == 0:
        raise Invalid("`max_new_tokens` must be strictly positive")
    if len(p.stop) > MAX_STOPS:
        raise Invalid(f"`stop` supports up to {MAX_STOPS} stop sequences. Given: {len(p.stop)}")
    if any(not 0 < len(stop) <= MAX_STOP_LENGTH for stop in p.stop):
        raise Invalid(f"`stop` sequences must have 1 to {MAX_STOP_LENGTH} characters")
    if p.top_n_tokens is not None and p.top_n_tokens > MAX_TOP_TOKENS:
        raise Invalid(
            f"`top_n_tokens` must be >= 0 and <= {MAX_TOP_TOKENS}. Given: {p.top_n_tokens}"
        )
    if p.truncate is not None and not 0 < p.truncate <= limits.input_tokens:
        raise Invalid(
            "`truncate` must be strictly positive and less than "
            f"{limits.input_tokens}. Given: {p.truncate}"
        )


def fit(
    prompt: str, tokens: Sequence[int], p: Parameters, limits: Limits, *, identified: bool
) -> Job:
    """The job for a prompt of these tokens; refused when it is too long."""
    if p.truncate is not None:
        tokens = tokens[-p.truncate :]
    length = len(tokens)
    wanted = p.max_new_tokens
    if wanted is None:
        wanted = min(max(limits.total_tokens - length, 1), DEFAULT_NEW_TOKENS)
    if length > limits.input_tokens:
        raise Invalid(f"`inputs` must have less than {limits.input_tokens} tokens. Given: {length}")
    if length + wanted > limits.total_tokens:
        raise Invalid(
            f"`inputs` tokens + `max_new_tokens` must be <= {limits.total_tokens}. "
            f"Given: {length} `inputs` tokens and {wanted} `max_new_tokens`"
        )
    seed = p.seed if p.seed is not None else random.getrandbits(31)
    return Job(
        prompt=prompt,
        tokens=tokens,
        max_new_tokens=wanted,
        stop=tuple(p.stop),
        sampling=_sampling(p, seed, limits.total_tokens),
        seed=seed if samples(p) else None,
        top_tokens=p.top_n_tokens or 0,
        identified=identified or bool(p.top_n_tokens),
        schema=schema_of(p.grammar) if p.grammar else None,
    )


def _sampling(p: Parameters, seed: int, reach: int) -> dict[str, Any]:
    """TGI's parameters in llama.cpp's names, applied in TGI's order; all its own tricks off."""
    plain: dict[str, Any] = {
        "seed": seed % _SEEDS,
        "min_p": 0.0,
        "top_k": p.top_k or 0,
        "top_p": p.top_p or 1.0,
        "typical_p": p.typical_p or 1.0,
        "temperature": p.temperature or 1.0,
        "samplers": ["penalties", "temperature", "top_k", "top_p", "typ_p"],
        "repeat_penalty": p.repetition_penalty or 1.0,
        "frequency_penalty": p.frequency_penalty or 0.0,
        "presence_penalty": p.presence_penalty or 0.0,
        "repeat_last_n": reach,  # the whole text counts, not the last 64 tokens
    }
    if not samples(p):
        plain |= {"temperature": 0.0, "samplers": ["penalties", "temperature"]}
    return plain


def chat_parameters(chat: ChatRequest) -> Parameters:
    """A chat request's parameters in the terms of `/generate`, as TGI translates them.

    temperature 0 is greedy; without a temperature text is sampled at 1.
    """
    if not chat.messages:
        raise Invalid("`messages` cannot be empty")
    if chat.n not in (None, 1):
        raise Invalid("`n` != 1 is not supported by this server")
    if chat.logit_bias:
        raise Invalid("`logit_bias` is not supported by this server")
    if chat.tools and chat.tool_choice != "none":
        raise Invalid("`tools` are not supported by the model that this server runs")
    if chat.guideline is not None:
        raise Invalid("`guideline` is not supported by this server")
    if chat.top_logprobs and not chat.logprobs:
        raise Invalid("`top_logprobs` needs `logprobs` == true")
    greedy = chat.temperature == 0
    return Parameters(
        do_sample=not greedy,
        temperature=None if greedy else chat.temperature,
        top_p=None if greedy or chat.top_p == 1 else chat.top_p,
        seed=chat.seed,
        stop=chat.stop,
        max_new_tokens=chat.max_completion_tokens if chat.max_tokens is None else chat.max_tokens,
        frequency_penalty=chat.frequency_penalty,
        presence_penalty=chat.presence_penalty,
        top_n_tokens=chat.top_logprobs,
        grammar=chat.response_format,
        details=True,
    )
