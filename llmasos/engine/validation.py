"""From a request to a job: every parameter checked in TGI's words, and put in the model's terms.

`check` is about the parameters alone, `fit` about the prompt's length. What this server cannot do
is refused, never ignored. Raises `Invalid` throughout. Knows nothing of HTTP.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llmasos.engine.grammars import grammar_of
from llmasos.engine.refusals import Invalid
from llmasos.engine.schemas import Parameters
from llmasos.engine.text_model import Job, Sampling

MAX_STOP_LENGTH = 1000
MAX_PREFILL = 512
"""Prompt tokens whose log probabilities can be told: each costs a step of the model."""
DEFAULT_NEW_TOKENS = 1024


@dataclass(frozen=True)
class Limits:
    """How much a request may ask for; TGI's names and defaults.

    input_tokens, total_tokens: length of a prompt, and of prompt and answer together. best_of:
    texts to choose from. stops: stop sequences. top_tokens: likeliest tokens told at each step.
    batch: prompts in one request.
    """

    input_tokens: int
    total_tokens: int
    best_of: int = 2
    stops: int = 4
    top_tokens: int = 5
    batch: int = 4


def samples(p: Parameters) -> bool:
    """Whether chance plays a part; without it the likeliest token is taken, as in TGI."""
    return (
        p.do_sample
        or (p.temperature is not None and p.temperature != 1.0)
        or any(value is not None for value in (p.top_k, p.top_p, p.typical_p))
    )


def check(p: Parameters, limits: Limits, *, stream: bool) -> None:
    """Refuse parameters that are out of range, or that this server cannot follow."""
    _check_copies(p, limits, stream=stream)
    _check_sampling(p)
    if p.watermark:
        raise Invalid("`watermark` == true is not supported by this server")
    if p.adapter_id is not None:
        raise Invalid("`adapter_id` names no adapter: none are loaded")
    if p.max_new_tokens == 0:
        raise Invalid("`max_new_tokens` must be strictly positive")
    if len(p.stop) > limits.stops:
        raise Invalid(f"`stop` supports up to {limits.stops} stop sequences. Given: {len(p.stop)}")
    if any(not 0 < len(stop) <= MAX_STOP_LENGTH for stop in p.stop):
        raise Invalid(f"`stop` sequences must have 1 to {MAX_STOP_LENGTH} characters")
    if p.top_n_tokens is not None and p.top_n_tokens > limits.top_tokens:
        most = f"must be >= 0 and <= {limits.top_tokens}"
        raise Invalid(f"`top_n_tokens` {most}. Given: {p.top_n_tokens}")
    if p.truncate is not None and not 0 < p.truncate <= limits.input_tokens:
        most = f"must be strictly positive and less than {limits.input_tokens}"
        raise Invalid(f"`truncate` {most}. Given: {p.truncate}")


def _check_copies(p: Parameters, limits: Limits, *, stream: bool) -> None:
    """Refuse what cannot be streamed, and more texts to choose from than there may be."""
    if p.best_of not in (None, 1):
        if stream:
            raise Invalid("`best_of` != 1 is not supported when streaming tokens")
        if limits.best_of == 1:
            raise Invalid("`best_of` != 1 is not allowed for this endpoint")
        if not 0 < p.best_of <= limits.best_of:
            raise Invalid(f"`best_of` must be > 0 and <= {limits.best_of}. Given: {p.best_of}")
        if not samples(p) and p.temperature is None:
            raise Invalid("you must use sampling when `best_of` is > 1")
        if p.seed is not None:
            raise Invalid("`seed` must not be set when `best_of` > 1")
    if p.decoder_input_details and stream:
        raise Invalid("`decoder_input_details` == true is not supported when streaming tokens")


def _check_sampling(p: Parameters) -> None:
    """Refuse numbers that no token can be drawn with."""
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


def fit(tokens: Sequence[int], p: Parameters, limits: Limits, *, identified: bool) -> Job:
    """The job for a prompt of these tokens; refused when it is too long."""
    if p.truncate is not None:
        tokens = tokens[-p.truncate :]
    length = len(tokens)
    wanted = p.max_new_tokens
    if wanted is None:
        wanted = min(max(limits.total_tokens - length, 0), DEFAULT_NEW_TOKENS)
    if length + wanted > limits.total_tokens:
        raise Invalid(
            f"`inputs` tokens + `max_new_tokens` must be <= {limits.total_tokens}. "
            f"Given: {length} `inputs` tokens and {wanted} `max_new_tokens`"
        )
    if length > limits.input_tokens:
        raise Invalid(f"`inputs` must have less than {limits.input_tokens} tokens. Given: {length}")
    if p.decoder_input_details and length > MAX_PREFILL:
        most = f"is supported for up to {MAX_PREFILL} `inputs` tokens by this server"
        raise Invalid(f"`decoder_input_details` == true {most}. Given: {length}")
    seed = p.seed if p.seed is not None else _any_seed()
    return Job(
        tokens=tokens,
        max_new_tokens=wanted,
        stop=tuple(p.stop),
        sampling=_sampling(p, seed),
        seed=seed if samples(p) else None,
        repeatable=p.seed is not None and samples(p),
        top_tokens=p.top_n_tokens or 0,
        identified=identified or bool(p.top_n_tokens),
        grammar=grammar_of(p.grammar) if p.grammar else None,
        prefill=p.decoder_input_details,
    )


def another(job: Job) -> Job:
    """The same job with a seed of its own; the prompt's tokens need not be told again."""
    seed = _any_seed()
    sampling = replace(job.sampling, seed=seed)
    return replace(job, sampling=sampling, seed=seed, prefill=False)


def _any_seed() -> int:
    return random.getrandbits(31)


def _sampling(p: Parameters, seed: int) -> Sampling:
    """How tokens are drawn; without chance only the penalties count."""
    likeliest = Sampling(
        repetition_penalty=p.repetition_penalty or 1.0,
        frequency_penalty=p.frequency_penalty or 0.0,
        presence_penalty=p.presence_penalty or 0.0,
    )
    if not samples(p):
        return likeliest
    return replace(
        likeliest,
        temperature=p.temperature or 1.0,
        top_k=p.top_k,
        top_p=p.top_p,
        typical_p=p.typical_p,
        seed=seed,
    )
