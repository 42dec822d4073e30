"""A text in Markdown as a Word document: headings, lists, quotations, code, tables and links.

Of what writes, only this file knows python-docx. Start reading at `document`.
"""

import re
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

if TYPE_CHECKING:
    from docx.document import Document
    from docx.text.paragraph import Paragraph

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
DEEPEST = 3
"""Levels of lists that Word's own template has."""
CODE_FONT = "Courier New"
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML cannot hold."""


def document(text: str) -> bytes:
    """The document's bytes."""
    import docx  # only where such a file is made

    text = _UNFIT.sub("", text)
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    made = docx.Document()
    made.core_properties.title = text.strip().partition("\n")[0].strip("# *")[:90]
    made.core_properties.author = ""
    _blocks(made, SyntaxTreeNode(parser.parse(text)).children, "Normal", 1)
    file = BytesIO()
    made.save(file)
    return file.getvalue()


def _blocks(made: "Document", nodes: Sequence[SyntaxTreeNode], style: str, depth: int) -> None:
    """Add blocks. style: of their paragraphs; depth: of a list that is among them."""
    for node in nodes:
        match node.type:
            case "heading":
                _inline(made.add_heading(level=int(node.tag[1:])), node)
            case "bullet_list" | "ordered_list":
                name = "List Bullet" if node.type == "bullet_list" else "List Number"
                level = f" {depth}" if depth > 1 else ""
                for item in node.children:
                    _item(made, item, f"{name}{level}", min(depth + 1, DEEPEST))
            case "blockquote":
                _blocks(made, node.children, "Quote", depth)
            case "fence" | "code_block":
                _as_code(made.add_paragraph(), node.content.rstrip("\n"))
            case "table":
                _table(made, node)
            case "hr":
                made.add_paragraph("* * *")
            case _:
                _inline(made.add_paragraph(style=style), node)


def _item(made: "Document", item: SyntaxTreeNode, style: str, depth: int) -> None:
    """Add a list's item: its first paragraph has the mark, what follows belongs to it."""
    first, rest = item.children[:1], item.children[1:]
    if first and first[0].type == "paragraph":
        _inline(made.add_paragraph(style=style), first[0])
        _blocks(made, rest, re.sub("Bullet|Number", "Continue", style), depth)
    else:
        _blocks(made, item.children, style, depth)


def _table(made: "Document", node: SyntaxTreeNode) -> None:
    rows = [row for part in node.children for row in part.children]
    table = made.add_table(len(rows), len(rows[0].children), style="Table Grid")
    for row, cells in zip(rows, table.rows, strict=True):
        for cell, place in zip(row.children, cells.cells, strict=False):
            _inline(place.paragraphs[0], cell)


def _inline(paragraph: "Paragraph", node: SyntaxTreeNode) -> None:
    """Add what stands within a block: bold, italic, code, links with their addresses."""
    bold = italic = 0
    link = ""
    for token in _tokens(node):
        bold += {"strong_open": 1, "strong_close": -1}.get(token.type, 0)
        italic += {"em_open": 1, "em_close": -1}.get(token.type, 0)
        match token.type:
            case "text" | "image":
                run = paragraph.add_run(token.content)
                run.bold, run.italic = bool(bold) or None, bool(italic) or None
            case "code_inline":
                _as_code(paragraph, token.content)
            case "softbreak":
                paragraph.add_run(" ")
            case "hardbreak":
                paragraph.add_run().add_break()
            case "link_open":
                link = str(token.attrGet("href") or "")
            case "link_close" if link not in paragraph.text:
                paragraph.add_run(f" ({link})")


def _tokens(node: SyntaxTreeNode) -> list[Token]:
    """What stands within a block, in order."""
    inline = (each.token for each in node.walk() if each.type == "inline")
    return [child for token in inline if token for child in token.children or ()]


def _as_code(paragraph: "Paragraph", text: str) -> None:
    run = paragraph.add_run(text)
    run.font.name = CODE_FONT
