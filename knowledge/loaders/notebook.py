"""Notebooks (`.ipynb`): words and code in their order, as Markdown; outputs are left out."""

import json
from pathlib import Path
from typing import Any

from knowledge.documents import Document, Limits, Loader, title_from_name
from knowledge.loaders.decoding import read_text
from knowledge.loaders.markdown import parse
from llmasos.errors import UnreadableDocument


def load(path: Path, _limits: Limits) -> Document:
    """Read a notebook of format 4. Its title is its first heading's or its name's."""
    try:
        book = json.loads(read_text(path))
        cells = book["cells"]
        language = str(book.get("metadata", {}).get("language_info", {}).get("name", ""))
        parts = [_written(cell, language) for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableDocument(path.name, "it is not a notebook of format 4") from error
    return parse("\n".join(parts), title_from_name(path))


def _written(cell: dict[str, Any], language: str) -> str:
    source = cell["source"]
    text = (source if isinstance(source, str) else "".join(source)).rstrip()
    if cell["cell_type"] != "code" or not text:
        return f"{text}\n"
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}\n"


loader = Loader(suffixes=(".ipynb",), load=load)
