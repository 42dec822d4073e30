"""Source code: a section a class and function; each line is reached by `L` and its number.

The text is the file itself. Python is read with `ast`, the languages of `grammars.py` with
tree-sitter; in others, and where a parser fails, blank lines part the text.
"""

import ast
import re
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from knowledge.documents import Document, Heading, Limits, Loader
from knowledge.loaders.decoding import read_text
from knowledge.loaders.grammars import GRAMMARS, definitions

PYTHON = (".py", ".pyi")
# fmt: off
PLAIN = (
    ".sh", ".bash", ".zsh", ".sql", ".kt", ".kts", ".swift", ".scala", ".lua", ".r", ".pl", ".ps1",
    ".ex", ".exs", ".hs", ".clj", ".dart", ".proto", ".graphql", ".tf", ".css", ".yaml", ".yml",
    ".toml", ".ini", ".cfg",
)
# fmt: on
ABOVE = re.compile(r"[ \t]*(?:#(?!include|define|if|endif|pragma)|//|/\*|\*|@\w|\[\w)")
"""A line that belongs to the definition below it: a comment, a decorator, an attribute."""


class Definition(NamedTuple):
    """A class or function of a file."""

    name: str
    level: int
    """1 at the top of the file, 2 within a class."""
    first: int
    """Its first line's number, from 0."""
    last: int


def load(path: Path, _limits: Limits) -> Document:
    """Read a file of source code. Its title is its name."""
    text = read_text(path)
    suffix = path.suffix.lower()
    if suffix in PYTHON:
        found = _python(text)
    else:
        found = [Definition(*each) for each in definitions(text, suffix)]
    starts = list(accumulate((len(line) + 1 for line in text.split("\n")), initial=0))
    headings = tuple(_headings(text.split("\n"), starts, found))
    anchors = tuple((start, f"L{number}") for number, start in enumerate(starts[:-1], start=1))
    return Document(path.name, text, headings, anchors, code=True)


def _python(text: str) -> list[Definition]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):  # another version's, or none at all
        return []
    return list(_defined(tree, 1))


def _defined(parent: ast.Module | ast.ClassDef, level: int) -> Iterator[Definition]:
    """The functions and classes right below a module or class, and those in its classes."""
    for node in parent.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = min(node.lineno, *(each.lineno for each in node.decorator_list), node.lineno)
            yield Definition(node.name, level, first - 1, (node.end_lineno or first) - 1)
        if isinstance(node, ast.ClassDef):
            yield from _defined(node, level + 1)


def _headings(lines: list[str], starts: list[int], found: list[Definition]) -> Iterator[Heading]:
    """A heading where each definition begins, and a nameless one where its parent goes on.

    starts: where each line begins in the text.
    """
    open_: list[Definition] = []
    floor = 0  # the first line behind everything so far
    behind = False  # whether a definition has just ended
    for each in [*found, Definition("", 0, len(lines), len(lines))]:
        while open_ and open_[-1].last < each.first:
            floor, behind = max(floor, open_.pop().last + 1), True
        first = each.first
        while first > floor and ABOVE.match(lines[first - 1]):
            first -= 1
        if behind and any(line.strip() for line in lines[floor:first]):
            yield Heading(open_[-1].level + 1 if open_ else 1, "", starts[floor], starts[floor])
        if each.name:
            yield Heading(each.level, each.name, starts[first], starts[first])
            open_.append(each)
            floor, behind = each.first, False


loader = Loader(suffixes=(*PYTHON, *GRAMMARS, *PLAIN), load=load)
