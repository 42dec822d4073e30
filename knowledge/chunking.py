"""From a document to its chunks: the pieces that are embedded, found and quoted.

A chunk stays within one section and carries the headings above it. Start reading at `chunks`.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from knowledge.documents import Document, Heading
from knowledge.splitting import Span, size, split

RECIPE = 1
"""Raise it when loading or chunking changes: files read by an older recipe count as changed."""
LIMIT = 850
"""Most of a chunk with its title, in characters of English: MiniLM reads 256 word pieces."""
LEAST = 320
"""What a chunk may hold of text however long its title is."""
TITLE_LIMIT = 300
"""Longest title in characters; hostile headings are cut."""
SEPARATOR = " › "

LINK_TARGET = re.compile(r"(!?)\[([^\]\[]*)\]\([^()\s]*\)")
MARKUP = re.compile(
    r"\*\*|__|`+|^[ \t]*>[ \t]?|^[ \t]*#+[ \t]|</?[a-zA-Z][^<>]{0,200}>", re.MULTILINE
)


@dataclass(frozen=True)
class Chunk:
    """A piece of a document: `document.text[start:end] == text`."""

    title: str
    """The document's title and the headings above it, joined by ` › `."""
    anchor: str
    """The fragment that leads to its place, or ''."""
    text: str
    start: int
    end: int

    @property
    def embedded(self) -> str:
        """What is embedded for it: its title, and its text without marks and links' targets."""
        words = MARKUP.sub("", LINK_TARGET.sub(r"\2", self.text))
        return f"{self.title}\n{words}"


def chunks(document: Document) -> list[Chunk]:
    """The chunks of a document, in order, without overlap. Empty for a document without text."""
    places = [position for position, _ in document.anchors]
    made = []
    for title, span in _sections(document):
        room = max(LEAST, LIMIT - size(title))
        for start, end in split(document.text, span, room):
            at = bisect_right(places, start) - 1
            anchor = document.anchors[at][1] if at >= 0 else ""
            made.append(Chunk(title, anchor, document.text[start:end], start, end))
    return made


def _sections(document: Document) -> Iterator[tuple[str, Span]]:
    """The title and span of each section's own text; of a heading that leads nowhere, its line."""
    above: list[Heading] = []
    starts = [heading.start for heading in document.headings] + [len(document.text)]
    yield document.title[:TITLE_LIMIT], (document.begin, starts[0])
    for place, heading in enumerate(document.headings):
        above = [*(each for each in above if each.level < heading.level), heading]
        title = _title(document.title, above)
        end = starts[place + 1]
        if document.text[heading.end : end].strip():
            yield title, (heading.end, end)
        elif not _has_children(document.headings, place):
            yield title, (heading.start, heading.end)


def _has_children(headings: tuple[Heading, ...], place: int) -> bool:
    after = headings[place + 1 : place + 2]
    return bool(after) and after[0].level > headings[place].level


def _title(title: str, above: list[Heading]) -> str:
    words = [heading.title for heading in above]
    if words and words[0] == title:
        words = words[1:]
    return SEPARATOR.join([title, *words])[:TITLE_LIMIT]
