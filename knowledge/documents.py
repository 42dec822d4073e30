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
    """Its words, without markup. '' ends the section above without a name for what follows."""
    start: int
    """Where its line begins, in characters of the text."""
    end: int
    """Where its line ends: its section's own text begins here. A function's is its start."""


@dataclass(frozen=True)
class Document:
    """A file's title, text and structure.

    The text is plain or Markdown-like: blank lines part paragraphs, list items begin with a
    marker, code stands between fences, the rows of a table begin with `|`. Spans of passages are
    counted in characters of it.
    """

    title: str
    text: str
    headings: tuple[Heading, ...] = ()
    """In the order of the text."""
    anchors: tuple[tuple[int, str], ...] = ()
    """(position, fragment): what to put behind `#` to get to this place; in order."""
    begin: int = 0
    """Where its content begins: front matter stands before."""
    code: bool = False
    """Whether it is program text throughout: cut between lines, never sentences."""


@dataclass(frozen=True)
class Limits:
    """What one document may take; the settings are `[knowledge]`."""

    pages: int = 2_000
    """Most pages of a PDF."""
    unpacked: int = 200_000_000
    """Most bytes that an archive or an Office document unpacks to."""
    text: int = 20_000_000
    """Longest text in characters."""


@dataclass(frozen=True)
class Loader:
    """Reads files of some kinds."""

    suffixes: tuple[str, ...]
    """The endings of the files that it reads, in lower case with their dot."""
    load: Callable[[Path, Limits], Document]
    """Reads one file. Raises UnreadableDocument with a reason that a person understands."""
    apart: bool = True
    """Whether it works in a process of its own, with a bound on time and memory. False only where
    hostile files cost no more than their size."""


def title_from_name(path: Path) -> str:
    """A title for a file that has none in it: `refund-policy.md` is `refund policy`."""
    return " ".join(path.stem.replace("_", " ").replace("-", " ").split()) or path.name
