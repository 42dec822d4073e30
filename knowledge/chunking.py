"""From a document to its chunks: the pieces that are embedded, found and quoted.

A chunk stays within one section and carries the headings above it; only sections too small to
say much alone are joined with what stands beside them. Start reading at `chunks`.
"""

import re
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from knowledge.documents import Document, Heading
from knowledge.splitting import (
    CODE,
    PROSE,
    ROW,
    Ruler,
    Span,
    blocks,
    sentences,
    split,
    strip,
)
from knowledge.tokens import FRAME, Estimate, Tokens

RECIPE = 3
"""Raise it when loading or chunking changes: files read by an older recipe count as changed."""
SMALL = 12
"""A section of less than a twelfth of a chunk is joined with its neighbours."""
TITLE_SHARE = 3
"""A third of a chunk's tokens is the most that its title takes; hostile headings are cut."""
TITLE_LIMIT = 300
"""Longest title in characters."""
SEPARATOR = " › "

LINK_TARGET = re.compile(r"!?\[([^\]\[]*)\]\([^()\s]*\)")
MARKUP = re.compile(
    r"\*\*|__|`+|^[ \t]*>[ \t]?|^[ \t]*#+[ \t]|</?[a-zA-Z][^<>]{0,200}>", re.MULTILINE
)
RULE = re.compile(r"[ \t]*\|[\s|:-]*\Z")
"""The line under a table's header."""


@dataclass(frozen=True)
class Chunk:
    """A piece of a document: `document.text[start:end] == text`."""

    title: str
    """The document's title, the headings above it, and the header of a table that goes on in it,
    joined by ` › `."""
    anchor: str
    """The fragment that leads to its place, or ''."""
    text: str
    start: int
    end: int

    @property
    def embedded(self) -> str:
        """What is embedded for it: its title, and its text without marks and links' targets."""
        words = MARKUP.sub("", LINK_TARGET.sub(r"\1", self.text))
        return f"{self.title}\n{words}"


@dataclass(frozen=True)
class Recipe:
    """How documents are cut."""

    tokens: Tokens = field(default_factory=Estimate)
    """Those of the embedding model."""
    size: int = 256
    """Most tokens of a chunk with its title; never more than the model reads."""
    overlap: int = 0
    """Tokens of whole sentences that a chunk repeats of the one before it."""

    @property
    def room(self) -> int:
        """Most tokens of what is embedded for a chunk."""
        return min(self.size, self.tokens.window) - FRAME

    @property
    def number(self) -> int:
        """Tells documents that were read and cut in another way."""
        return zlib.crc32(f"{RECIPE} {self.room} {self.overlap}".encode())


@dataclass(frozen=True)
class _Section:
    """A stretch of text under one heading, or under several that are small."""

    path: tuple[str, ...]
    """The headings above it, the document's title first."""
    span: Span


def chunks(document: Document, recipe: Recipe) -> list[Chunk]:
    """A document's chunks, in the order of its text. Only headings and white space are left out."""
    return _Cutting(document, recipe).run()


class _Cutting:
    """The cutting of one document."""

    def __init__(self, document: Document, recipe: Recipe) -> None:
        self._document = document
        self._recipe = recipe
        self._joints = CODE if document.code else PROSE
        text = document.text
        starts = recipe.tokens.starts(text)
        self._ruler = Ruler(len(text), starts, () if document.code else _marks(text))
        self._places = [position for position, _ in document.anchors]

    def run(self) -> list[Chunk]:
        sections = _joined(list(_sections(self._document)), self._ruler, self._recipe.room)
        return [chunk for section in sections for chunk in self._cut(section)]

    def _cut(self, section: _Section) -> Iterator[Chunk]:
        title, room = self._title(section.path)
        room = max(room - self._recipe.overlap, room // 2)
        text = self._document.text
        parts = split(text, section.span, room, self._ruler, self._joints)
        headers = {} if self._document.code or len(parts) < 2 else self._headers(section.span)
        before: Span | None = None
        for part in parts:
            header = next((words for span, words in headers.items() if _inside(part, span)), None)
            if header:
                named, left = self._title((*section.path, header))
                pieces = split(text, part, min(room, left), self._ruler, self._joints)
            else:
                named, pieces = title, [part]
            for piece in pieces:
                yield self._chunk(named, self._lengthened(piece, before))
                before = piece

    def _chunk(self, title: str, span: Span) -> Chunk:
        start, end = span
        at = bisect_right(self._places, start) - 1
        anchor = self._document.anchors[at][1] if at >= 0 else ""
        return Chunk(title, anchor, self._document.text[start:end], start, end)

    def _title(self, path: tuple[str, ...]) -> tuple[str, int]:
        """The title of a path, and the tokens that it leaves for text."""
        title = SEPARATOR.join(part for part in path if part)[:TITLE_LIMIT]
        starts = self._recipe.tokens.starts(title)
        most = self._recipe.room // TITLE_SHARE
        if len(starts) > most:
            title = title[: starts[most]].rstrip()
        return title, self._recipe.room - min(len(starts), most)

    def _headers(self, span: Span) -> dict[Span, str]:
        """The tables in a span without their first rows, and the words of those rows."""
        text = self._document.text
        found = {}
        for start, end in blocks(text, *span):
            first = ROW.match(text, start, end)
            if first:
                words = [cell.strip() for cell in first[0].split("|")]
                found[(first.end(), end)] = " | ".join(word for word in words if word)
        return found

    def _lengthened(self, span: Span, before: Span | None) -> Span:
        """The span with the last sentences of the one before it, as far as the overlap goes."""
        if not self._recipe.overlap or before is None or self._document.code:
            return span
        text = self._document.text
        begins = sentences(text, *before)
        allowed = min(self._recipe.overlap, self._recipe.room - self._ruler.size(span))
        fitting = (each for each in begins if self._ruler.size((each, span[0])) <= allowed)
        return strip(text, (next(fitting, span[0]), span[1])) or span


def _marks(text: str) -> Iterator[Span]:
    """What stands in the text and is not embedded."""
    for match in LINK_TARGET.finditer(text):
        yield match.start(), match.start(1)
        yield match.end(1), match.end()
    for match in MARKUP.finditer(text):
        yield match.span()


def _inside(part: Span, table: Span) -> bool:
    return table[0] <= part[0] < table[1]


def _sections(document: Document) -> Iterator[_Section]:
    """Each section's own text; of a heading that leads nowhere, its line."""
    above: list[Heading] = []
    starts = [heading.start for heading in document.headings] + [len(document.text)]
    if document.text[document.begin : starts[0]].strip():
        yield _Section((document.title,), (document.begin, starts[0]))
    for place, heading in enumerate(document.headings):
        above = [*(each for each in above if each.level < heading.level), heading]
        path = _path(document.title, above)
        end = starts[place + 1]
        if document.text[heading.end : end].strip():
            yield _Section(path, (heading.end, end))
        elif not _has_children(document.headings, place):
            yield _Section(path, (heading.start, heading.end))


def _has_children(headings: tuple[Heading, ...], place: int) -> bool:
    after = headings[place + 1 : place + 2]
    return bool(after) and after[0].level > headings[place].level


def _path(title: str, above: list[Heading]) -> tuple[str, ...]:
    words = [heading.title for heading in above if heading.title]
    return (title, *(words[1:] if words and words[0] == title else words))


def _joined(sections: list[_Section], ruler: Ruler, room: int) -> list[_Section]:
    """The sections, the small ones with a sibling or parent beside them where both fit together.

    Their headings become a part of the text; the path is what they have in common.
    """
    least, most = room // SMALL, room - room // TITLE_SHARE
    made: list[_Section] = []
    for section in sections:
        if made:
            both = (made[-1].span[0], section.span[1])
            small = min(ruler.size(made[-1].span), ruler.size(section.span)) < least
            path = _common(made[-1].path, section.path)
            near = len(path) >= max(len(made[-1].path), len(section.path)) - 1
            if small and near and ruler.size(both) <= most:
                made[-1] = _Section(path, both)
                continue
        made.append(section)
    return made


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """How two paths begin."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return tuple(name for name, _ in same)
