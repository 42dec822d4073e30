"""A piece of writing as a file, in the format that a message names: Markdown, HTML or DOCX.

The model writes Markdown; HTML in it is shown and never taken for markup. `writing_docx.py` makes
the Word document. Start at `files_of`.
"""

import re
from html import escape

from markdown_it import MarkdownIt

from agents.writing_docx import MEDIA_TYPE, document
from llmasos.events import Artifact
from llmasos.language.words import is_chinese

HEAD = 400
"""Characters of a message in which a format is named."""
_FORMAT = r"(html\b|markdown\b|docx\b|(?:ms |microsoft )?(?-i:Word)\b(?!-))"
_NAMED = re.compile(
    rf"\b(?:as|in|into|to)\s+(?:an?\s+)?{_FORMAT}|\b{_FORMAT}\s+(?:file|page|document)\b|\.(docx)\b"
    rf"|(html|markdown|docx|word)\s*(?:格式|文件|网页|文档)",
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
    match next(filter(None, found.groups())).lower():
        case "markdown":
            made = Artifact(name="text.md", media_type="text/markdown", text=f"{text.strip()}\n")
        case "html":
            made = Artifact(name="text.html", media_type="text/html", text=page(text))
        case _:
            made = Artifact(name="text.docx", media_type=MEDIA_TYPE, data=document(text))
    return (made,)


def page(text: str) -> str:
    """A text in Markdown as a page in HTML, titled with its first line."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    title = text.strip().partition("\n")[0].strip("# *")[:90]
    language = "zh" if is_chinese(text) else "en"
    return _PAGE.format(language=language, title=escape(title), body=body)
