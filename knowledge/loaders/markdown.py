"""Markdown: the text stays as it is written; headings and their anchors are found in it."""

import re
from pathlib import Path

from knowledge.documents import Document, Heading, Limits, Loader, title_from_name
from knowledge.loaders.decoding import read_text

FRONT_MATTER = re.compile(
    r"\A---[ \t]*\n(?=[^\n]*:)(.*?\n)?(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL
)
FRONT_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.MULTILINE)
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
HASHES = re.compile(r" {0,3}(#{1,6})(?=[ \t]|\Z)")
LONGEST_HEADING = 1_000
UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*\Z")
NOT_A_TITLE = re.compile(r"\s*(?:[-*+>|#]|\d+[.)]\s|\Z)")
OWN_ANCHOR = re.compile(r"[ \t]*\{#([\w.:-]+)[^}]*\}\Z")
LINK = re.compile(r"!?\[([^\]\[]*)\](?:\([^()\s]*(?:[ \t][^()]*)?\)|\[[^\]\[]*\])")
MARKS = re.compile(r"\*\*|__|~~|`|\\(?=[^\w\s])")


def load(path: Path, _limits: Limits) -> Document:
    """Read a Markdown file. Its title is its front matter's, its first heading's or its name's."""
    return parse(read_text(path), title_from_name(path))


def parse(text: str, fallback: str) -> Document:
    """The structure of a Markdown text. fallback: the title when there is none in it."""
    front = FRONT_MATTER.match(text)
    named = FRONT_TITLE.search(front[0]) if front else None
    begin = front.end() if front else 0
    found = _headings(text, begin)
    headings = tuple(heading for heading, _ in found)
    first = next((each.title for each in headings if each.level == 1), "")
    return Document(
        title=(named[1].strip("\"'") if named else "") or first or fallback,
        text=text,
        headings=headings,
        anchors=_anchors(found),
        begin=begin,
    )


def plain(text: str) -> str:
    """Words without links' targets and marks of emphasis."""
    return MARKS.sub("", LINK.sub(r"\1", text)).strip()


def _headings(text: str, begin: int) -> list[tuple[Heading, str]]:
    """Every heading and the anchor that it names itself (or '')."""
    found: list[tuple[Heading, str]] = []
    fence = ""
    position = begin
    before = (begin, "")
    for line in text[begin:].splitlines(keepends=True):
        start, position = position, position + len(line)
        bare = line.rstrip("\n")
        mark = FENCE.match(bare)
        if fence:
            if mark and mark[1].startswith(fence) and not bare[mark.end() :].strip():
                fence = ""
        elif mark:
            fence = mark[1]
        elif hashes := HASHES.match(bare):
            words = _open_end(bare[hashes.end() :])
            found.append(_heading(len(hashes[1]), words, start, position))
        elif (line_under := UNDERLINE.match(bare)) and not NOT_A_TITLE.match(before[1]):
            level = 1 if line_under[1].startswith("=") else 2
            found.append(_heading(level, before[1], before[0], position))
        before = (start, "" if fence or mark else bare)
    return [pair for pair in found if pair[0].title]


def _open_end(words: str) -> str:
    """A heading's words without the hashes that may close it."""
    bare = words.strip()
    closed = bare.rstrip("#")
    return closed.rstrip() if closed != bare and closed[-1:] in ("", " ", "\t") else bare


def _heading(level: int, words: str, start: int, end: int) -> tuple[Heading, str]:
    words = words[:LONGEST_HEADING]
    own = OWN_ANCHOR.search(words)
    title = plain(words[: own.start()] if own else words)
    return Heading(level, title, start, end), own[1] if own else ""


def _anchors(found: list[tuple[Heading, str]]) -> tuple[tuple[int, str], ...]:
    """Where each heading is reached: its own anchor, else the one GitHub makes of its words."""
    seen: dict[str, int] = {}
    anchors: list[tuple[int, str]] = []
    for heading, own in found:
        if heading.level == 1 and not own and not anchors:
            anchors.append((heading.start, ""))  # the page itself
            continue
        slug = own or re.sub(r"[^\w\- ]", "", heading.title.lower()).replace(" ", "-")
        times = seen[slug] = seen.get(slug, -1) + 1
        anchors.append((heading.start, f"{slug}-{times}" if times else slug))
    return tuple(anchors)


loader = Loader(suffixes=(".md", ".markdown", ".mdown", ".mkd"), load=load, apart=False)
