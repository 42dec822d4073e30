"""Drawing tokens and spelling them: from logits to an id, from ids to readable text.

Penalties, temperature and the cuts are transformers' own; grammars are held by llguidance, which
llama.cpp uses too. Used by `torch_model.py` only. Start reading at `Draw.token`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from llmasos.engine.text_model import Job, Sampling


class Drawing:
    """Draws tokens of one vocabulary. ends: tokens that end a text."""

    def __init__(self, tokenizer: Any, device: str, vocabulary: int, ends: Sequence[int]) -> None:
        self._tokenizer, self._device = tokenizer, device
        self._vocabulary, self._ends = vocabulary, list(ends)
        self._guide: Any = None

    def begin(self, job: Job) -> "Draw":
        """Draw the tokens of one text."""
        return Draw(job, self._device, self._matcher(job.grammar) if job.grammar else None)

    def _matcher(self, grammar: str) -> Any:
        from llguidance import LLMatcher
        from llguidance.hf import from_tokenizer

        if self._guide is None:  # it takes a second: made for the first grammar
            self._guide = from_tokenizer(
                self._tokenizer, n_vocab=self._vocabulary, eos_token=self._ends
            )
        matcher = LLMatcher(self._guide, LLMatcher.grammar_from_lark(grammar))
        if matcher.is_error():
            raise ValueError(f"the grammar cannot be used: {matcher.get_error()}")
        return matcher


class Draw:
    """Draws the tokens of one text."""

    def __init__(self, job: Job, device: str, matcher: Any) -> None:
        import torch

        self._torch, self._device, self._matcher = torch, device, matcher
        self._sampling = job.sampling
        self._chance = torch.Generator(device).manual_seed(job.sampling.seed)
        self._seen = torch.tensor(list(job.tokens), device=device)
        self._cuts = _cuts(job.sampling)

    @property
    def complete(self) -> bool:
        """Whether the grammar takes nothing more."""
        return self._matcher is not None and bool(self._matcher.is_stopped())

    def token(self, logits: Any) -> int:
        """The next token. logits: shape (vocabulary,); stays as it is."""
        scores = self._penalised(logits[None].clone())
        if self._matcher is not None:
            scores = scores.masked_fill(~self._allowed(), float("-inf"))
        if self._sampling.temperature == 0:
            drawn = int(scores.argmax())
        else:
            for cut in self._cuts:
                scores = cut(self._seen[None], scores)
            shares = scores.softmax(-1)
            drawn = int(self._torch.multinomial(shares[0], 1, generator=self._chance))
        if self._matcher is not None and not self._matcher.consume_token(drawn):
            raise ValueError(f"the grammar refuses: {self._matcher.get_error()}")
        self._seen = self._torch.cat([self._seen, self._seen.new_tensor([drawn])])
        return drawn

    def _penalised(self, scores: Any) -> Any:
        from transformers import RepetitionPenaltyLogitsProcessor

        sampling = self._sampling
        if sampling.repetition_penalty != 1.0:
            penalty = RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty)
            scores = penalty(self._seen[None], scores)
        if sampling.frequency_penalty or sampling.presence_penalty:
            counts = self._torch.bincount(self._seen, minlength=scores.shape[1])[None]
            scores = scores - sampling.frequency_penalty * counts
            scores = scores - sampling.presence_penalty * (counts > 0)
        return scores

    def _allowed(self) -> Any:
        """Which tokens the grammar allows next, shape (1, vocabulary)."""
        biases = np.frombuffer(self._matcher.compute_logit_bias(), dtype=np.uint8)
        return self._torch.from_numpy(biases != 0)[None].to(self._device)


def _cuts(sampling: Sampling) -> list[Any]:
    """Temperature and cuts in TGI's order."""
    from transformers import (
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
        TypicalLogitsWarper,
    )

    cuts: list[Any] = []
    if sampling.temperature not in (0, 1):
        cuts.append(TemperatureLogitsWarper(float(sampling.temperature)))
    if sampling.top_k is not None:
        cuts.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p is not None:
        cuts.append(TopPLogitsWarper(sampling.top_p))
    if sampling.typical_p is not None:
        cuts.append(TypicalLogitsWarper(sampling.typical_p))
    return cuts


class Speller:
    """Turns the tokens of one text into readable pieces; a character comes when it is whole."""

    def __init__(self, tokenizer: Any, special: frozenset[int]) -> None:
        self._tokenizer, self._special = tokenizer, special
        self._ids: list[int] = []
        self._told = 0
        """How many of the ids have been told; the last of them stay, for the spaces between."""

    def spell(self, token: int) -> tuple[str, bool]:
        """A token's text in its place, and whether it is a sign for the model.

        "" for all but the last token of a character that several make up.
        """
        if token in self._special:
            return str(self._tokenizer.convert_ids_to_tokens(token)), True
        self._ids.append(token)
        before = self._decoded(self._ids[: self._told])
        now = self._decoded(self._ids)
        if now.endswith("\ufffd"):
            return "", False
        self._ids = self._ids[self._told :]
        self._told = len(self._ids)
        return now[len(before) :], False

    def alone(self, token: int, logprob: float) -> tuple[str, float, bool]:
        """The text of a token that was not drawn, its log probability, and whether it is a sign."""
        special = token in self._special
        return self._decoded([token]), logprob, special

    def _decoded(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(ids, clean_up_tokenization_spaces=False))
