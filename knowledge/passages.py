"""From ranked rows to passages that read well: no doubles, neighbours joined, within a budget.

Chunks are cut for finding; what answers often goes on in the next one. Chunks of one section that
touch are joined where both were found, in the place of the better one. Stands behind `search.py`;
knows texts only.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from knowledge.records import StoredChunk
from knowledge.search import Found

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
    """Where it begins."""
    text: str
    start: int
    end: int
    found: Found
    """The best row."""
    first: int
    last: int
    """The rows that it is made of."""

    @classmethod
    def of(cls, chunk: StoredChunk, found: Found) -> "Piece":
        """The passage that one chunk is."""
        part = chunk.chunk
        return cls(chunk, part.text, part.start, part.end, found, found.row, found.row)

    def touches(self, other: "Piece") -> bool:
        """Whether both are of one section, and one begins where the other ends.

        Chunks of a document have rows that follow one another.
        """
        if self.found.view != other.found.view:
            return False
        if self.last + 1 != other.first:
            return other.last + 1 == self.first and other.touches(self)
        same = (self.chunk.source, self.chunk.chunk.title) == (
            other.chunk.source,
            other.chunk.chunk.title,
        )
        return same and 0 <= other.start - self.end <= GAP

    def joined(self, other: "Piece") -> "Piece":
        """Both as one, in the place of this; of white space only its length is known."""
        one, two = (self, other) if self.start <= other.start else (other, self)
        text = one.text + "\n" * (two.start - one.end) + two.text
        return replace(
            self,
            chunk=one.chunk,
            text=text,
            start=one.start,
            end=two.end,
            first=one.first,
            last=two.last,
        )


class Assembly:
    """The k best passages of ranked rows, which come best first, some at a time."""

    def __init__(self, k: int) -> None:
        self.pieces: list[Piece] = []
        self._k = k
        self._bags: list[frozenset[int]] = []

    @property
    def complete(self) -> bool:
        """Whether there are k: what comes may only lengthen them."""
        return len(self.pieces) == self._k

    def take(
        self,
        found: Sequence[Found],
        chunks: Sequence[StoredChunk],
        bags: Sequence[frozenset[int]],
    ) -> None:
        """Go on with these rows, whose chunks and terms these are."""
        for each, chunk, bag in zip(found, chunks, bags, strict=True):
            piece = Piece.of(chunk, each)
            place = next((n for n, other in enumerate(self.pieces) if _joinable(other, piece)), -1)
            if place >= 0:
                self.pieces[place] = self.pieces[place].joined(piece)
            elif not self.complete:
                self._keep(piece, bag)

    def _keep(self, piece: Piece, bag: frozenset[int]) -> None:
        """Have it as a passage, unless another says the same."""
        if not any(_alike(bag, other) for other in self._bags):
            self.pieces.append(piece)
            self._bags.append(bag)


def worth_reading(found: Sequence[Found], first: int) -> list[Found]:
    """Of ranked rows the first few, and of the others those that may touch one of all these."""
    rows = {(each.view, each.row) for each in found}
    return [
        each
        for place, each in enumerate(found)
        if place < first or (each.view, each.row - 1) in rows or (each.view, each.row + 1) in rows
    ]


def _joinable(piece: Piece, other: Piece) -> bool:
    """Whether two pieces touch, and are not too long together."""
    return piece.touches(other) and _tokens(piece.text) + _tokens(other.text) <= TOKENS


def _tokens(text: str) -> int:
    """A text's length in tokens, about: long words are several, and so are characters of CJK."""
    wide = sum(character > "\u2e7f" for character in text)
    return len(_TOKEN.findall(text)) + wide


def _alike(one: frozenset[int], two: frozenset[int]) -> bool:
    shared = len(one & two)
    return shared >= SAME * (len(one) + len(two) - shared)
