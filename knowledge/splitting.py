"""Cutting a text at its natural joints: blocks and paragraphs, items and rows, sentences, words.

Works on spans, so that every piece is found again in the text. Knows nothing of documents.
Start reading at `split`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

Span = tuple[int, int]
"""[start, end) in characters."""
Joints = Callable[[str, int, int], Iterator[int]]
"""Where a stretch of text may be cut."""

BLANK = re.compile(r"\n[ \t]*\n")
FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})", re.MULTILINE)
BLOCK = re.compile(r"^[ \t]*(?:(`{3,}|~{3,})|\|)", re.MULTILINE)
ROW = re.compile(r"[ \t]*\|[^\n]*(?:\n|\Z)")
ITEM = re.compile(r"^[ \t]*(?:[-*+•·][ \t]|\(?\d{1,4}[.)、][ \t]?)", re.MULTILINE)
SENTENCE = re.compile(
    r"""(?<![.!?…])[.!?…]++["'”’)\]*_]*+(?=\s++[^\sa-z])|[。！？；｡]++(?:[”’」』）】]++(?![とっはがをにのもでや、，])|(?![”’」』）】]))"""
)
ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Za-z]|[Dd]r|[Mm]rs?|[Mm]s|[Pp]rof|[Ss]t|[Nn]os?|[Nn]r|[Ff]igs?|[Ee]qs?|[Vv]ol|[Ss]ec|"
    r"[Vv]s|Jr|Sr|Inc|Ltd|Co|Corp|Gen|Sen|Gov|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|"
    r"e\.g|i\.e|z\.\s?B|d\.\s?h|u\.\s?a|al|cf|approx|ca|bzw|Abs|Art)|\b[A-Z]\.[A-Z])\.\Z"
)
SPACE = re.compile(r"\s+")
LINE = re.compile(r"\n")


class Ruler:
    """Measures stretches of one text in tokens."""

    def __init__(self, length: int, starts: Sequence[int], unseen: Iterable[Span] = ()) -> None:
        """length: of the text; starts: where its tokens begin; unseen: what is not counted."""
        weights = np.zeros(length + 1, dtype=np.int32)
        np.add.at(weights, np.asarray(starts, dtype=np.int64) + 1, 1)
        for start, end in unseen:
            weights[start + 1 : end + 1] = 0
        self._sums = np.cumsum(weights, dtype=np.int64)

    def size(self, span: Span) -> int:
        """How many tokens begin in a span."""
        return int(self._sums[span[1]] - self._sums[span[0]])

    def reach(self, start: int, end: int, limit: int) -> int:
        """How far one comes from start with this many tokens; one character at least."""
        most = int(np.searchsorted(self._sums, self._sums[start] + limit, side="right")) - 1
        return min(end, max(most, start + 1))


def split(text: str, span: Span, limit: int, ruler: Ruler, joints: Sequence[Joints]) -> list[Span]:
    """Cut text[start:end] into spans of at most `limit` tokens, through as little as can be.

    joints: PROSE or CODE. The spans follow each other, leave out white space only, and are not
    empty; none is tiny because the one before it was filled to the brim.
    """
    parts = _split(text, span, limit, ruler, joints)
    if len(parts) > 1 and ruler.size(parts[-1]) * 4 < limit:
        both = (parts[-2][0], parts[-1][1])
        half = max(ruler.size(both) * 5 // 8, 1)
        even = _split(text, both, half, ruler, joints)
        if len(even) == 2:
            parts[-2:] = even
    return [each for part in parts if (each := strip(text, part))]


def _split(text: str, span: Span, limit: int, ruler: Ruler, joints: Sequence[Joints]) -> list[Span]:
    if not joints:
        return list(_hard(span, limit, ruler))
    packed: list[Span] = []
    for unit in _between(span, joints[0](text, *span)):
        if packed and ruler.size((packed[-1][0], unit[1])) <= limit:
            packed[-1] = (packed[-1][0], unit[1])
        elif ruler.size(unit) <= limit:
            packed.append(unit)
        else:
            packed.extend(_split(text, unit, limit, ruler, joints[1:]))
    return packed


def _between(span: Span, joints: Iterator[int]) -> Iterator[Span]:
    """The spans between the joints."""
    start, end = span
    for joint in joints:
        if start < joint < end:
            yield start, joint
            start = joint
    yield start, end


def blocks(text: str, start: int, end: int) -> Iterator[Span]:
    """Blocks of code between fences, and tables; a fence that is never closed goes to the end."""
    position = start
    while found := BLOCK.search(text, position, end):
        first = position = found.start()
        if found[1]:
            position = _fence_end(text, found, end)
        else:
            while row := ROW.match(text, position, end):
                position = row.end()
                if position == end:
                    break
        yield first, position


def _fence_end(text: str, opened: re.Match[str], end: int) -> int:
    for match in FENCE.finditer(text, opened.end(), end):
        if match[1].startswith(opened[1]):
            close = text.find("\n", match.end(), end)
            return end if close < 0 else close + 1
    return end


def sentences(text: str, start: int, end: int) -> Iterator[int]:
    """After each sentence, in English and its like, in Chinese and in Japanese."""
    for match in SENTENCE.finditer(text, start, end):
        if not ABBREVIATION.search(text[max(start, match.end() - 8) : match.end()]):
            yield match.end()


def _paragraphs(text: str, start: int, end: int) -> Iterator[int]:
    """After each blank line outside code; before and after each block of code and each table."""
    position = start
    for first, last in blocks(text, start, end):
        yield from (match.end() for match in BLANK.finditer(text, position, first))
        yield first
        yield last
        position = last
    yield from (match.end() for match in BLANK.finditer(text, position, end))


def _items(text: str, start: int, end: int) -> Iterator[int]:
    """Before each list item, or before each line of code and row of a table."""
    if BLOCK.match(text, start, end):
        yield from _lines(text, start, end)
    else:
        yield from (match.start() for match in ITEM.finditer(text, start, end))


def _blanks(text: str, start: int, end: int) -> Iterator[int]:
    """After each blank line."""
    yield from (match.end() for match in BLANK.finditer(text, start, end))


def _lines(text: str, start: int, end: int) -> Iterator[int]:
    """After each line."""
    yield from (match.end() for match in LINE.finditer(text, start, end))


def _words(text: str, start: int, end: int) -> Iterator[int]:
    """After each run of white space."""
    yield from (match.end() for match in SPACE.finditer(text, start, end))


PROSE: tuple[Joints, ...] = (_paragraphs, _items, sentences, _lines, _words)
CODE: tuple[Joints, ...] = (_blanks, _lines, _words)


def _hard(span: Span, limit: int, ruler: Ruler) -> Iterator[Span]:
    """One endless word, cut wherever the limit falls."""
    start, end = span
    while start < end:
        reached = ruler.reach(start, end, limit)
        yield start, reached
        start = reached


def strip(text: str, span: Span) -> Span | None:
    """The span without white space at its ends; None when nothing is left."""
    start, end = span
    part = text[start:end]
    bare = part.strip()
    if not bare:
        return None
    start += len(part) - len(part.lstrip())
    return start, start + len(bare)
