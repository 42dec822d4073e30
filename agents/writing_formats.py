"""A piece of writing as a file, in the format that a message names: Markdown or HTML.

The model writes Markdown; HTML in it is shown and never taken for markup. Start at `files_of`.
"""

import re
from html import escape

from markdown_it import MarkdownIt

from llmasos.events import Artifact
from llmasos.language.words import is_chinese

HEAD = 400
"""Characters of a message in which a format is named."""
_NAMED = re.compile(
    r"\b(?:as|in|into|to)\s+(?:an?\s+)?(html|markdown)\b|\b(html|markdown)\s+(?:file|page|document)\b"
    r"|(html|markdown)\s*(?:格式|文件|网页|文档)",
    re.IGNORECASE,
)
_PAGE = """<!doctype html>
<html lang="{language}">
<head><meta charset="utf-8"><title>{title}</title></head>
<body>
{body}</body>
</html>
"""


def files_of(message: str, text: str) -> tuple[Artifact, ...]:
    """The file that a message asks for, of a text in Markdown; none when it names no format."""
    found = _NAMED.search(message[:HEAD])
    if not found:
        return ()
    if next(filter(None, found.groups())).lower() == "markdown":
        return (Artifact(name="text.md", media_type="text/markdown", text=f"{text.strip()}\n"),)
    return (Artifact(name="text.html", media_type="text/html", text=page(text)),)


def page(text: str) -> str:
    """A text in Markdown as a page in HTML, titled with its first line."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    title = text.strip().partition("\n")[0].strip("# *")[:90]
    language = "zh" if is_chinese(text) else "en"
    return _PAGE.format(language=language, title=escape(title), body=body)
