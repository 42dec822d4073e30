"""Markup of documents made fit to be quoted: still Markdown, but only what a chat can show.

Lists keep their lines, code its own, links to the web their targets; tags, images, links that lead
nowhere outside the document and hard line breaks go. Knows only text. Start reading at `readable`.
"""

import re
from collections.abc import Iterator

_FENCE = re.compile(r"[ \t]*(?:>[ \t]?)*(`{3,}|~{3,})")
_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_WEB_LINK = r"https?://[^\s()]*"
_IMAGE = re.compile(r"!\[([^\]\[]*)\]\([^()]*\)")
_LINK = re.compile(rf"\[([^\]\[]+)\]\((?!{_WEB_LINK}\))[^()]*\)|\[([^\]\[]+)\]\[[^\]\[]*\]")
_TAG = re.compile(r"</?[a-zA-Z][\w-]*(?:\s[^<>]*)?/?>|<!--.*?-->", re.DOTALL)
_DEFINITION = re.compile(r"^[ \t]*\[[^\]\[]+\]:[ \t].*$\n?", re.MULTILINE)
_QUOTED = re.compile(r"^[ \t]*(?:>[ \t]?)+", re.MULTILINE)
_SAID_TWICE = re.compile(r"\b(\w{3,20}):\s+\*\*\1:?\*\*:?", re.IGNORECASE)
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d+[.)])[ \t]|[ \t]*\|")


def readable(markup: str) -> str:
    """A piece of Markdown as it is quoted: paragraphs, list items and code on their own lines."""
    lines: list[str] = []
    for block in _blocks(markup):
        code = _FENCE.match(block)
        new = block.splitlines() if code else _lines(_cleaned(block))
        if not new:
            continue
        goes_on = not code and _ITEM.match(new[0]) and lines and not _FENCE.match(lines[-1])
        lines += new if goes_on or not lines else ["", *new]
    return "\n".join(lines)


def _blocks(markup: str) -> Iterator[str]:
    """Paragraphs, and blocks of code with a fence at each end."""
    block: list[str] = []
    mark = ""  # the fence that ends the block of code that we are in
    for line in markup.splitlines():
        fence = _FENCE.match(line)
        if mark:
            block.append(line)
            if fence and line.strip(" \t>") == mark:
                yield _outdented(block)
                block, mark = [], ""
        elif fence or not line.strip():
            yield "\n".join(block)
            block, mark = ([line], fence[1]) if fence else ([], "")
        else:
            block.append(line)
    yield _outdented([*block, mark]) if mark else "\n".join(block)


def _outdented(code: list[str]) -> str:
    """The lines of a block of code, moved left as far as its fence stood in."""
    indent = len(code[0]) - len(code[0].lstrip())
    return "\n".join(line[min(indent, len(line) - len(line.lstrip())) :] for line in code)


def _cleaned(text: str) -> str:
    """A paragraph without what a chat cannot show; what is code stays as it is."""
    text = _QUOTED.sub("", _DEFINITION.sub("", text))
    done, at = "", 0
    for code in _CODE.finditer(text):
        done += f"{_words(text[at : code.start()])}{code.group()}"
        at = code.end()
    return _SAID_TWICE.sub(r"**\1:**", done + _words(text[at:]))


def _words(text: str) -> str:
    text = _LINK.sub(r"\1\2", _IMAGE.sub(r"\1", text))
    return re.sub(r"(?<=\S)[ \t]{2,}", " ", _TAG.sub("", text))


def _lines(paragraph: str) -> list[str]:
    """A paragraph on one line, its list items and table rows on one each."""
    lines: list[str] = []
    for line in paragraph.splitlines():
        if not lines or _ITEM.match(line) or lines[-1].startswith("|"):
            lines.append(line.strip())
        else:
            lines[-1] = f"{lines[-1]} {line.strip()}"
    return [line for line in lines if line]
