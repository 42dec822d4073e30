"""HTML: what a reader of the page sees, without scripts and navigation; headings are kept.

The extracted text is Markdown-like: paragraphs, `- ` items, `| ` cells, fenced code. The page is
walked through without recursion, so that a hostile depth costs no stack. Start reading at `load`.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bs4 import BeautifulSoup
from bs4.element import NavigableString, PageElement, PreformattedString, Tag

from knowledge.documents import Document, Heading, Limits, Loader, title_from_name
from knowledge.loaders.decoding import decode, unix_lines
from llmasos.errors import UnreadableDocument

MAX_TAGS = 200_000
"""Most tags of a page: each takes about a kilobyte of memory."""
# fmt: off
DROPPED = frozenset({
    "script", "style", "noscript", "template", "title", "meta", "link", "nav", "footer", "iframe",
    "svg", "canvas", "object", "button", "select", "textarea",
})
BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "center", "details", "dialog", "div", "dl",
    "fieldset", "figcaption", "figure", "form", "header", "hr", "main", "ol", "p", "section",
    "summary", "table", "ul",
})
CELLS = ("td", "th")
LARGE = ["table", "pre", "ul", "ol", "dl", "h1", "h2", "h3", "h4", "h5", "h6"]
"""A cell with one of these is there for the layout: it is read like any part of the page."""
LINES = frozenset({"dd", "dt", "tr", "br", "li"})
# fmt: on
HEADINGS = {f"h{level}": level for level in range(1, 7)}
SPACE = re.compile(r"\s+")
DECLARED = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w-]{2,40})|<\?xml[^>]{0,200}?encoding=["']([\w-]{2,40})""",
    re.IGNORECASE,
)


def load(path: Path, _limits: Limits) -> Document:
    """Read an HTML page. Its title is its first `h1`, its `title`, or its name's."""
    return parse(_source(path), title_from_name(path))


def parse(source: str, fallback: str) -> Document:
    """The document in a page's source; of one with a `main` part, that part.

    fallback: its title when the page has none. Raises UnreadableDocument when it is too large.
    """
    tags = source.count("<")
    if tags > MAX_TAGS:
        raise UnreadableDocument(
            fallback, f"it has {tags:,} tags, more than {MAX_TAGS:,}; split it"
        )
    soup = BeautifulSoup(source, "html.parser")
    writer = _Writer()
    for element, entering in _walk(_main_part(soup)):
        writer.take(element, entering)
    named = SPACE.sub(" ", soup.title.get_text()).strip() if soup.title else ""
    return writer.document(named or fallback)


def _main_part(soup: BeautifulSoup) -> Tag:
    """Where the page's own content is; the whole page when that is not said."""
    main = soup.find_all("main", limit=2)
    return main[0] if len(main) == 1 and main[0].get_text(strip=True) else soup


def _source(path: Path) -> str:
    """The page's source, in the encoding that it declares, else in the one that fits."""
    data = path.read_bytes()
    declared = DECLARED.search(data[:2048])
    if declared:
        name = (declared[1] or declared[2]).decode("ascii", errors="replace")
        with suppress(LookupError, ValueError):  # a page may lie about it: the bytes tell then
            if not name.lower().startswith("utf"):
                return unix_lines(data.decode(name))
    return decode(data, path.name)


def _walk(top: Tag) -> Iterator[tuple[PageElement, bool]]:
    """Every visible element as (element, entering); a tag comes again when it is left."""
    stack: list[tuple[PageElement, bool]] = [(top, True)]
    while stack:
        element, entering = stack.pop()
        if isinstance(element, Tag) and entering:
            if _hidden(element):
                continue
            stack.append((element, False))
            stack.extend((child, True) for child in reversed(element.contents))
        yield element, entering


def _hidden(tag: Tag) -> bool:
    return (
        tag.name in DROPPED
        or tag.has_attr("hidden")
        or tag.get("role") == "navigation"
        or tag.get("aria-hidden") == "true"
    )


class _Writer:
    """Writes the text while the page is walked through, and notes where headings stand."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._end = "\n\n"  # the last characters written; the text begins on a fresh line
        self._marked = False  # just behind an item's marker: its first block opens no line
        self._code = 0
        self._cell = False  # in a table's cell, which is one line
        self._heading: tuple[int, list[str]] | None = None
        self._anchor = ""
        self._headings: list[Heading] = []
        self._anchors: list[tuple[int, str]] = []

    def take(self, element: PageElement, entering: bool) -> None:
        """Take the next element of the walk."""
        if isinstance(element, Tag):
            if entering:
                self._note_anchor(element)
            (self._open if entering else self._close)(element.name)
            if element.name in CELLS:
                self._cell = entering and not element.find(LARGE)
        elif isinstance(element, NavigableString) and not isinstance(element, PreformattedString):
            self._words(str(element))

    def document(self, fallback: str) -> Document:
        """The finished document. fallback: its title when no `h1` names it."""
        title = next((each.title for each in self._headings if each.level == 1), fallback)
        return Document(title, "".join(self._parts), tuple(self._headings), tuple(self._anchors))

    def _note_anchor(self, tag: Tag) -> None:
        """Remember the fragment that leads here; the next heading takes it."""
        own = tag.get("id") or (tag.get("name") if tag.name == "a" else None)
        if own and (tag.name in HEADINGS or not (self._heading and self._anchor)):
            self._anchor = str(own)

    def _open(self, name: str) -> None:
        if name in HEADINGS:
            self._break(2)
            self._heading = (self._length, [])
        elif name == "pre":
            self._break(2)
            self._write("```\n")
            self._code += 1
        elif name == "li":
            self._break(1)
            self._write("- ")
            self._marked = True
        elif name in CELLS:
            self._write("| " if self._end[-1].isspace() else " | ")
            self._marked = True
        else:
            self._block(name)

    def _close(self, name: str) -> None:
        if name in HEADINGS and self._heading:
            self._close_heading(HEADINGS[name], *self._heading)
        elif name == "pre":
            self._code -= 1
            self._break(1)
            self._write("```\n\n")
        else:
            self._block(name)

    def _block(self, name: str) -> None:
        """Begin a line, or a paragraph, where this element begins or ends."""
        if name in LINES:
            self._break(1)
        elif name in BLOCKS:
            self._break(2)

    def _close_heading(self, level: int, start: int, words: list[str]) -> None:
        title = " ".join("".join(words).split()).rstrip("¶#").strip()
        self._heading = None
        self._break(2)
        if title:
            self._headings.append(Heading(level, title, start, self._length))
            self._anchors.append((start, self._anchor))
        self._anchor = ""

    def _words(self, words: str) -> None:
        """Write text as it is shown: white space counts only in code."""
        if not self._code:
            words = SPACE.sub(" ", words)
            words = words.lstrip() if self._end[-1].isspace() else words
        if words.strip():
            self._marked = False
            if self._heading:
                self._heading[1].append(words)
            else:
                self._anchor = ""
        self._write(words)

    def _break(self, lines: int) -> None:
        """End the line, and leave lines - 1 blank."""
        if self._cell:
            self._write("" if self._end[-1].isspace() else " ")
        elif not self._marked and self._length:
            trailing = len(self._end) - len(self._end.rstrip("\n"))
            self._write("\n" * (lines - trailing))

    def _write(self, text: str) -> None:
        if text:
            self._parts.append(text)
            self._length += len(text)
            self._end = (self._end + text)[-2:] if len(text) < 2 else text[-2:]


loader = Loader(suffixes=(".html", ".htm", ".xhtml"), load=load)
