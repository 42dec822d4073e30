"""From ranked rows to passages that read well: no doubles, neighbours joined, within a budget.

Chunks are cut for finding; what answers often goes on in the next one. Chunks of one section that
touch are joined where both were found, in the place of the better one. Stands behind `search.py`;
knows texts only.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from knowledge.bags import term_number
from knowledge.records import StoredChunk
from knowledge.search import Found
from knowledge.terms import terms

TOKENS = 512
"""Most tokens of a joined passage."""
SAME = 0.9
"""Passages that have this part of their terms in common say the same."""
GAP = 2
"""Most characters of white space between two chunks that touch."""
_TOKEN = re.compile(r"[^\W_]{1,5}|[^\w\s]")


@dataclass(frozen=True)
class Piece:
    """A passage in the making: a stretch of one document, and the rows that it is made of."""

    chunk: StoredChunk
    """Of the best row."""
    text: str
    start: int
    end: int
    found: Found
    """The best row."""

    @classmethod
    def of(cls, chunk: StoredChunk, found: Found) -> "Piece":
        """The passage that one chunk is."""
        return cls(chunk, chunk.chunk.text, chunk.chunk.start, chunk.chunk.end, found)


def assemble(found: Sequence[Found], chunks: Sequence[StoredChunk], k: int) -> list[Piece]:
    """The k best passages of ranked rows and their chunks, best first."""
    kept: list[Piece] = []
    seen: list[frozenset[int]] = []
    for each, chunk in zip(found, chunks, strict=True):
        piece = Piece.of(chunk, each)
        place = next((n for n, other in enumerate(kept) if _joinable(other, piece)), None)
        if place is not None:
            kept[place] = _joined(kept[place], piece)
            continue
        if len(kept) == k:
            continue  # what is left may only lengthen a passage
        bag = frozenset(map(term_number, terms(piece.text)))
        if not any(_alike(bag, other) for other in seen):
            kept.append(piece)
            seen.append(bag)
    return kept


def _joinable(piece: Piece, other: Piece) -> bool:
    """Whether two pieces are of one section, touch, and are not too long together."""
    one, two = sorted((piece, other), key=lambda each: each.start)
    same = (one.chunk.source, one.chunk.chunk.title) == (two.chunk.source, two.chunk.chunk.title)
    touching = 0 <= two.start - one.end <= GAP
    return same and touching and _tokens(one.text) + _tokens(two.text) <= TOKENS


def _joined(piece: Piece, other: Piece) -> Piece:
    """Both as one, in the place of the first; of white space only its length is known."""
    one, two = sorted((piece, other), key=lambda each: each.start)
    return replace(
        piece, text=one.text + "\n" * (two.start - one.end) + two.text, start=one.start, end=two.end
    )


def _tokens(text: str) -> int:
    """A text's length in tokens, about: long words are several, and so are characters of CJK."""
    wide = sum(character > "\u2e7f" for character in text)
    return len(_TOKEN.findall(text)) + wide


def _alike(one: frozenset[int], two: frozenset[int]) -> bool:
    together = len(one | two)
    return together == 0 or len(one & two) >= SAME * together
