"""Plain text: paragraphs parted by blank lines, no headings."""

from pathlib import Path

from knowledge.documents import Document, Limits, Loader, title_from_name
from knowledge.loaders.decoding import read_text


def load(path: Path, _limits: Limits) -> Document:
    """Read a text file. Its title is its name's."""
    return Document(title=title_from_name(path), text=read_text(path))


loader = Loader(suffixes=(".txt", ".text", ".log"), load=load, apart=False)
