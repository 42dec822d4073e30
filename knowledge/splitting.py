"""Cutting a text at its natural joints: paragraphs, list items, sentences, words, in this order.

Works on spans, so that every piece is found again in the text. Knows nothing of documents.
Start reading at `split`.
"""

import re
from collections.abc import Callable, Iterator

Span = tuple[int, int]
"""[start, end) in characters."""

WIDE = re.compile(r"[^\x00-\u024f]")
WIDE_SIZE = 4
BLANK = re.compile(r"\n[ \t]*\n")
FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})", re.MULTILINE)
ITEM = re.compile(r"^[ \t]*(?:[-*+•·][ \t]|\(?\d{1,4}[.)、][ \t]?|\|)", re.MULTILINE)
SENTENCE = re.compile(
    r"""(?<![.!?…])[.!?…]++["'”’)\]*_]*+(?=\s++[^\sa-z])|[。！？；｡]++[”’」』）】]*+"""
)
ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Z]|[Dd]r|[Mm]rs?|[Mm]s|[Pp]rof|[Ss]t|[Nn]o|[Ff]ig|[Vv]s|e\.g|i\.e|cf|approx|ca))\.\Z"
)
SPACE = re.compile(r"\s+")
LINE = re.compile(r"\n")


def size(text: str) -> int:
    """How much of an embedder's window a text takes, in characters of English.

    A word piece of MiniLM holds about four of them; a Chinese, Japanese or Cyrillic one holds one.
    """
    return len(text) + (WIDE_SIZE - 1) * sum(1 for _ in WIDE.finditer(text))


def split(text: str, span: Span, limit: int) -> list[Span]:
    """Cut text[start:end] into spans of at most `limit` (see `size`), through as little as can be.

    The spans follow each other, leave out white space only, and are not empty.
    """
    return [each for part in _split(text, span, limit, 0) if (each := _strip(text, part))]


def _split(text: str, span: Span, limit: int, level: int) -> list[Span]:
    if level == len(JOINTS):
        return _hard(text, span, limit)
    packed: list[Span] = []
    room = 0
    for unit in _between(span, JOINTS[level](text, *span)):
        need = size(text[unit[0] : unit[1]])
        if packed and need <= room:
            packed[-1] = (packed[-1][0], unit[1])
            room -= need
        elif need <= limit:
            packed.append(unit)
            room = limit - need
        else:
            packed.extend(_split(text, unit, limit, level + 1))
            room = limit - size(text[slice(*packed[-1])])
    return packed


def _between(span: Span, joints: Iterator[int]) -> Iterator[Span]:
    """The spans between the joints."""
    start, end = span
    for joint in joints:
        if start < joint < end:
            yield start, joint
            start = joint
    yield start, end


def _paragraphs(text: str, start: int, end: int) -> Iterator[int]:
    """After each blank line outside code; before and after each block of code."""
    position = start
    for fence_start, fence_end in _fences(text, start, end):
        yield from (match.end() for match in BLANK.finditer(text, position, fence_start))
        yield fence_start
        yield fence_end
        position = fence_end
    yield from (match.end() for match in BLANK.finditer(text, position, end))


def _fences(text: str, start: int, end: int) -> Iterator[Span]:
    """Blocks of code between fences; one that is never closed goes to the end."""
    opened: re.Match[str] | None = None
    for match in FENCE.finditer(text, start, end):
        if opened is None:
            opened = match
        elif match[1].startswith(opened[1]):
            close = text.find("\n", match.end(), end)
            yield opened.start(), end if close < 0 else close + 1
            opened = None
    if opened is not None:
        yield opened.start(), end


def _items(text: str, start: int, end: int) -> Iterator[int]:
    """Before each list item and table row, or before each line of code."""
    if FENCE.match(text, start, end):
        yield from (match.end() for match in LINE.finditer(text, start, end))
    else:
        yield from (match.start() for match in ITEM.finditer(text, start, end))


def _sentences(text: str, start: int, end: int) -> Iterator[int]:
    """After each sentence, in English and in Chinese and Japanese."""
    for match in SENTENCE.finditer(text, start, end):
        if not ABBREVIATION.search(text[max(start, match.end() - 8) : match.end()]):
            yield match.end()


def _words(text: str, start: int, end: int) -> Iterator[int]:
    """After each run of white space."""
    yield from (match.end() for match in SPACE.finditer(text, start, end))


JOINTS: tuple[Callable[[str, int, int], Iterator[int]], ...] = (
    _paragraphs,
    _items,
    _sentences,
    _words,
)


def _hard(text: str, span: Span, limit: int) -> list[Span]:
    """One endless word, cut wherever the limit falls."""
    start, end = span
    step = max(1, limit // WIDE_SIZE if WIDE.search(text, start, end) else limit)
    return [(each, min(each + step, end)) for each in range(start, end, step)]


def _strip(text: str, span: Span) -> Span | None:
    """The span without white space at its ends; None when nothing is left."""
    start, end = span
    part = text[start:end]
    bare = part.strip()
    if not bare:
        return None
    start += len(part) - len(part.lstrip())
    return start, start + len(bare)
