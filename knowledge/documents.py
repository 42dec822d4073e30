"""What a document is once it is read, and what reads one.

Between the loaders, which make documents of files, and `chunking.py`, which cuts them into chunks.
A plug-in offers a `Loader` under the entry point group `llmasos.loaders`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Heading:
    """A heading in a document's text; what follows, down to the next one, stands under it."""

    level: int
    """1 for the highest."""
    title: str
    """Its words, without markup."""
    start: int
    """Where its line begins, in characters of the text."""
    end: int
    """Where its line ends: its section's own text begins here."""


@dataclass(frozen=True)
class Document:
    """A file's title, text and structure.

    The text is plain or Markdown-like: blank lines part paragraphs, list items begin with a
    marker, code stands between fences. Spans of passages are counted in characters of it.
    """

    title: str
    text: str
    headings: tuple[Heading, ...] = ()
    """In the order of the text."""
    anchors: tuple[tuple[int, str], ...] = ()
    """(position, fragment): what to put behind `#` to get to this place; in order."""
    begin: int = 0
    """Where its content begins: front matter stands before."""


@dataclass(frozen=True)
class Loader:
    """Reads files of some kinds."""

    suffixes: tuple[str, ...]
    """The endings of the files that it reads, in lower case with their dot."""
    load: Callable[[Path], Document]
    """Reads one file. Raises UnreadableDocument with a reason that a person understands."""


def title_from_name(path: Path) -> str:
    """A title for a file that has none in it: `refund-policy.md` is `refund policy`."""
    return " ".join(path.stem.replace("_", " ").replace("-", " ").split()) or path.name
