"""Writing a document's text piece by piece, with its headings and the ways to them.

For loaders of formats that are no text: the outcome is Markdown-like, as `Document` says.
"""

from knowledge.documents import Document, Heading, Limits
from llmasos.errors import UnreadableDocument


class Writing:
    """A text in the making."""

    def __init__(self, name: str, limits: Limits) -> None:
        """name: the file's, for the error when the text grows longer than the limits allow."""
        self._name = name
        self._room = limits.text
        self._parts: list[str] = []
        self._length = 0
        self._in_table = False
        self._headings: list[Heading] = []
        self._anchors: list[tuple[int, str]] = []

    def heading(self, level: int, title: str, anchor: str = "") -> None:
        """Begin a section. anchor: the fragment that leads to it."""
        words = " ".join(title.split())
        self._open_block()
        start = self._length
        self._write(words + "\n")
        self._headings.append(Heading(level, words, start, self._length))
        self._anchors.append((start, anchor))

    def anchor(self, fragment: str) -> None:
        """Say how to get to what comes next."""
        self._anchors.append((self._length, fragment))

    def paragraph(self, text: str) -> None:
        """Write a paragraph, or several that blank lines part."""
        if words := text.strip():
            self._open_block()
            self._write(words + "\n")

    def code(self, text: str) -> None:
        """Write a block of program text."""
        if text.strip():
            self._open_block()
            self._write(f"```\n{text.strip(chr(10))}\n```\n")

    def row(self, cells: list[str]) -> None:
        """Write a row; rows that follow each other are one table."""
        if not self._in_table:
            self._open_block()
            self._in_table = True
        bare = (" ".join(cell.replace("|", "/").split()) for cell in cells)
        self._write(f"| {' | '.join(bare)} |\n")

    def document(self, title: str) -> Document:
        """The finished document."""
        return Document(title, "".join(self._parts), tuple(self._headings), tuple(self._anchors))

    def _open_block(self) -> None:
        self._in_table = False
        if self._parts:
            self._write("\n")

    def _write(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
        if self._length > self._room:
            raise UnreadableDocument(
                self._name,
                f"its text has more than {self._room:,} characters (knowledge.max_text); split it",
            )
