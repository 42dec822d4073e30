"""reStructuredText: docutils makes HTML of it, which is read as any page.

Nothing is included from other files and no raw output is taken. What only Sphinx knows (`:ref:`,
`.. toctree::`) is no error: a role leaves its words, a directive its content.
"""

import re
from pathlib import Path

from knowledge.documents import Document, Limits, Loader, title_from_name
from knowledge.loaders.decoding import read_text
from knowledge.loaders.html import parse

ROLE = re.compile(r":(?:[\w+.-]+:)?[\w+.-]+:`([^`<\n]{1,300}?)\s*(?:<[^`>\n]{0,300}>)?`")
DIRECTIVE = re.compile(
    r"^([ \t]*)\.\. ([\w:+.-]{1,100})::[ \t]*([^\n]*)\n(?:\1[ \t]+:[^\n]*\n)*", re.MULTILINE
)
SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
    "report_level": 5,
    "halt_level": 5,
    "embed_stylesheet": False,
    "stylesheet_path": None,
    "syntax_highlight": "none",
    "math_output": "LaTeX",
    "section_self_link": False,
    "line_length_limit": 100_000,
}


def load(path: Path, _limits: Limits) -> Document:
    """Read a reStructuredText file. Its title is its first heading's or its name's."""
    from docutils.core import publish_parts  # only where such a file is read

    source = DIRECTIVE.sub(_known_only, ROLE.sub(r"``\1``", read_text(path)))
    parts = publish_parts(source, writer="html5", settings_overrides=SETTINGS)
    return parse(parts["html_body"], title_from_name(path))


def _known_only(directive: re.Match[str]) -> str:
    """A directive as it stands, or of one that docutils does not know what it says."""
    from docutils.parsers.rst.languages import en

    indent, name, said = directive.groups()
    return directive[0] if name in en.directives else f"{indent}{said}\n\n"


loader = Loader(suffixes=(".rst", ".rest"), load=load)
