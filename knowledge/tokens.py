"""Where tokens begin in a text, as an embedding model counts them: what chunks are measured in.

`Tokenizer` is the model's own, from its `tokenizer.json`, without the model; `Estimate` serves
where only a server knows the model. The one module that knows `tokenizers`.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import tokenizers

WINDOW = 256
"""Tokens that a model reads when it does not say: what most English ones read at least."""
FRAME = 2
"""Tokens that a model puts around every text."""
PIECE = 100_000
"""Characters that are handed to the tokenizer at once."""
LONGEST = 16
"""Characters that a token stands for at most; an endless word is one token for some models."""
WORD = re.compile(r"[^\W_\u0250-\U0010ffff]+|[^\s]")
LETTERS = 4
"""Letters of a word to a token: less than English has, so that other languages fit as well."""
GAP = re.compile(r"\s")


class Tokens(Protocol):
    """Counts as one embedding model does."""

    @property
    def window(self) -> int:
        """How many tokens of a text the model reads, those around it included."""
        ...

    def starts(self, text: str) -> list[int]:
        """Where each token begins, in order; tokens around the text are left out."""
        ...


class Estimate:
    """Counts a little more than models do, knowing none: a word's letters, each sign of Chinese."""

    def __init__(self, window: int = WINDOW) -> None:
        self.window = window

    def starts(self, text: str) -> list[int]:
        """Where each token begins."""
        return [
            place
            for word in WORD.finditer(text)
            for place in range(word.start(), word.end(), LETTERS)
        ]


class Tokenizer:
    """Counts exactly; safe in threads.

    path: a `tokenizer.json`. window: how many tokens the model reads.
    """

    def __init__(self, path: Path, window: int) -> None:
        self._path = path
        self.window = window

    def starts(self, text: str) -> list[int]:
        """Where each token begins; in an endless word, every sixteenth letter as well."""
        pieces = list(_pieces(text))
        found = self._tokenizer.encode_batch(
            [text[start:end] for start, end in pieces], add_special_tokens=False
        )
        return [
            first + place
            for (first, _), encoding in zip(pieces, found, strict=True)
            for start, end in encoding.offsets
            for place in range(start, max(end, start + 1), LONGEST)
        ]

    @cached_property
    def _tokenizer(self) -> "tokenizers.Tokenizer":
        from tokenizers import Tokenizer as Model  # only where documents are cut

        model = Model.from_file(str(self._path))
        model.no_truncation()
        model.no_padding()
        return model


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Parts of a text, cut at white space where there is any: tokens end there anyway."""
    start = 0
    while start < len(text):
        end = min(start + PIECE, len(text))
        gap = GAP.search(text, end, end + LONGEST * 10) if end < len(text) else None
        end = gap.start() if gap else end
        yield start, end
        start = end
