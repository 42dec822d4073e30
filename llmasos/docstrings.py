"""What a docstring says of a function and of each of its parameters.

Reads `name: text` in a line or a sentence, and Google, NumPy and Sphinx style. Used by `tools.py`;
knows only text. Start reading at `describe`.
"""

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Params|Returns?|Yields?|Raises|Examples?|Notes?)\s*:?\s*$"
)
SPHINX = re.compile(r"^:param(?:\s+[^:\s]+)*?\s+(\w+)\s*:\s*(.*)$")
SPHINX_OTHER = re.compile(r"^:\w+[^:]*:")
UNDERLINE = re.compile(r"^-{3,}\s*$")


@dataclass
class Described:
    """A docstring taken apart."""

    summary: str = ""
    """What the function does: the text without the parameters."""
    parameters: dict[str, str] = field(default_factory=dict)
    """What each described parameter is."""


def describe(docstring: str, names: Sequence[str]) -> Described:
    """Take a docstring apart. names: the function's parameters."""
    described = Described()
    text: list[str] = []
    section, current = "", ""
    for line in inspect.cleandoc(docstring).splitlines():
        heading, stripped = SECTION.match(line), line.strip()
        if heading:
            section, current = heading.group(1), ""
        elif UNDERLINE.match(line):
            continue
        elif sphinx := SPHINX.match(stripped):
            section, current = ":param", sphinx.group(1)
            described.parameters[current] = sphinx.group(2).strip()
        elif SPHINX_OTHER.match(stripped):
            section, current = ":other", ""
        elif section:
            current = _in_section(described, section, line, current, names)
        else:
            text.append(line)
    described.summary = _sentences(described, "\n".join(text).strip(), names)
    described.parameters = {k: v for k, v in described.parameters.items() if v and k in names}
    return described


def _in_section(
    described: Described, section: str, line: str, current: str, names: Sequence[str]
) -> str:
    """Take a line below a heading; gives the parameter that it belongs to."""
    if section not in ("Args", "Arguments", "Parameters", "Params", ":param"):
        return ""
    stripped = line.strip()
    entry = re.match(r"^\*{0,2}(\w+)\s*(\([^)]*\))?\s*:\s*(.*)$", stripped)
    if entry and entry.group(1) in names and section != ":param":
        numpy = not line.startswith((" ", "\t"))  # there, after the colon comes the type
        described.parameters[entry.group(1)] = "" if numpy else entry.group(3)
        return entry.group(1)
    if stripped in names and not line.startswith((" ", "\t")):
        described.parameters[stripped] = ""
        return stripped
    if current and stripped:
        described.parameters[current] = f"{described.parameters[current]} {stripped}".strip()
    return current


def _sentences(described: Described, text: str, names: Sequence[str]) -> str:
    """Take `name: text` out of running text; gives what is left."""
    if not names:
        return _one_line(text)
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    start = re.compile(rf"(?:^|(?<=[\s.;,(]))`{{0,2}}({known})`{{0,2}}:\s+", re.MULTILINE)
    marks = list(start.finditer(text))
    for mark, following in zip_longest(marks, marks[1:]):
        rest = text[mark.end() : following.start() if following else len(text)]
        words = _one_line(re.split(r"\n\s*\n", rest)[0]).rstrip(" .;,()")
        described.parameters.setdefault(mark.group(1), words)
    return _one_line(text[: marks[0].start()] if marks else text)


def _one_line(text: str) -> str:
    return " ".join(text.split())
