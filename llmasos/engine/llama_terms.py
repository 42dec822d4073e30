"""llama.cpp's own terms: our jobs as its requests, what it says as parts of a text.

Pure; used by `llama.py`, which keeps it running.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from llmasos.engine.text_model import Job, Sampling

_GRAMMAR = "%llguidance {}\n"  # what follows is in that library's language
_SEEDS = 2**32 - 1  # its seeds have 32 bits, and the last one means "any"


class Part(NamedTuple):
    """What llama.cpp says at once: a text of so many tokens, the last of which may be named."""

    text: str
    tokens: int
    named: dict[str, Any] | None
    finish: Literal["length", "eos_token"] | None
    cached: int


def part_of(plain: dict[str, Any], tokens: int) -> Part:
    """A chunk of llama.cpp's stream, which has this many tokens."""
    choice = plain["choices"][0]
    named = choice["logprobs"]["content"] if choice["logprobs"] else None
    finish: Literal["length", "eos_token"] | None = None
    if reason := choice["finish_reason"]:
        finish = "length" if reason == "length" else "eos_token"
    cached = plain["timings"]["cache_n"]
    return Part(choice["text"], tokens, named[0] if named else None, finish, cached)


def completion(job: Job, slot: int) -> dict[str, Any]:
    """The job as llama.cpp's completion request."""
    reach = len(job.tokens) + job.max_new_tokens
    plain = _plain(job.tokens, job.max_new_tokens, slot) | _sampling(job.sampling, reach)
    if job.repeatable:
        plain["cache_prompt"] = False  # numbers differ in their last digits with what was there
    if job.identified:
        plain["logprobs"] = max(1, job.top_tokens)
    if job.grammar:
        plain["grammar"] = _GRAMMAR + job.grammar
    return plain


def _sampling(s: Sampling, reach: int) -> dict[str, Any]:
    """llama.cpp's names for how a token is drawn; all its own tricks off."""
    plain: dict[str, Any] = {
        "seed": s.seed % _SEEDS,
        "min_p": 0.0,
        "top_k": s.top_k or 0,
        "top_p": s.top_p or 1.0,
        "typical_p": s.typical_p or 1.0,
        "temperature": s.temperature,
        "samplers": ["penalties", "temperature", "top_k", "top_p", "typ_p"],
        "repeat_penalty": s.repetition_penalty,
        "frequency_penalty": s.frequency_penalty,
        "presence_penalty": s.presence_penalty,
        "repeat_last_n": reach,  # the whole text counts, not the last 64 tokens
    }
    if s.temperature == 0:  # the one likeliest: drawing it among all words takes 5 % of the time
        plain["samplers"], plain["top_k"] = ["penalties", "top_k"], 1
    return plain


def forced(prompt: Sequence[int], tokens: Sequence[int], slot: int) -> dict[str, Any]:
    """A request that can only be answered with these tokens."""
    names = " ".join(f"<[{token}]>" for token in tokens)
    return {
        **_plain(prompt, len(tokens), slot),
        **_sampling(Sampling(), 0),
        "grammar": f"{_GRAMMAR}start: {names}",
        "logprobs": 1,
    }


def prompt_alone(tokens: Sequence[int], slot: int) -> dict[str, Any]:
    """A request that has a prompt computed and asks for nothing more."""
    return _plain(tokens, 0, slot)


def _plain(prompt: Sequence[int], most: int, slot: int) -> dict[str, Any]:
    """What every request has."""
    return {
        "prompt": list(prompt),
        "n_predict": most,
        "id_slot": slot,
        "stream": True,
        "cache_prompt": True,
        "return_progress": True,  # else nothing fires before the first token
        "timings_per_token": True,
    }
