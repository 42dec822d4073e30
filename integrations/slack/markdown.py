"""The text of answers, cut into messages: no code block is left open, no table without its head.

What a model writes goes into Slack as standard Markdown, and a message holds only so much of it.
What it must not do is in `harmless.py`.
Pure functions; knows nothing of the SDK. Start reading at `pieces`.
"""

import re

LIMIT = 11_000
"""Characters of answer in one message (Slack takes 12,000 of Markdown in all)."""
LONGEST_HEAD = 1_000
"""Characters of a table's head that is said again in the next message."""

_FENCE = re.compile(r"^ {0,3}(`{3,12}(?!`)|~{3,12}(?!~))(.*)$")
_DELIMITER = re.compile(r"^ {0,3}\|?( *:?-+:? *\|)+( *:?-+:? *)?$")
_ENDS = (
    re.compile(r"\n\n+"),
    re.compile(r"\n"),
    re.compile(r"[.!?]\s+|[。!?]"),
    re.compile(r"\s+"),
)


def escaped(text: str) -> str:
    """The text for Slack's own markup, where nothing in it means anything."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def open_fence(text: str) -> str:
    """The line that opened the code block in which a text ends; empty when it ends outside."""
    return _last_fence(text)[0]


def _last_fence(text: str) -> tuple[str, int]:
    """The line that opened the code block in which a text ends, and where that line begins."""
    opened, start, place = "", 0, 0
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if found:
            mark, words = found.groups()
            if not opened:
                if mark[0] == "~" or "`" not in words:
                    opened, start = f"{mark}{words[:40]}".rstrip(), place
            elif mark[0] == opened[0] and len(mark) >= _marks(opened) and not words.strip():
                opened = ""
        place += len(line) + 1
    return opened, start


def closing(text: str) -> str:
    """What must be put behind a text that ends within a code block."""
    opened = open_fence(text)
    if not opened:
        return ""
    line = "" if text.endswith("\n") else "\n"
    return line + opened[: _marks(opened)]


def reopening(text: str, rest: str) -> str:
    """What the message after a text must begin with, so that a code block or a table goes on.

    rest: what follows.
    """
    opened = open_fence(text)
    if opened:
        return f"{opened}\n"
    head, _ = _last_table(text)
    goes_on = "|" in rest.partition("\n")[0]
    return head if goes_on and len(head) <= LONGEST_HEAD else ""


def _last_table(text: str) -> tuple[str, int | None]:
    """The head of the table in which a text ends, and where it begins; None: there is none."""
    lines = text.split("\n")
    end = len(lines) - 1 if not lines[-1] else len(lines)
    begin = end
    while begin and "|" in lines[begin - 1]:
        begin -= 1
    for number in range(begin + 1, end):
        if _DELIMITER.match(lines[number]):
            head = "\n".join(lines[number - 1 : number + 1]) + "\n"
            return head, sum(len(line) + 1 for line in lines[: number - 1])
    if begin < end and lines[begin].lstrip().startswith("|"):  # its head is not complete yet
        return "", sum(len(line) + 1 for line in lines[:begin])
    return "", None


def _marks(opened: str) -> int:
    return len(opened) - len(opened.lstrip(opened[0]))


def cut(text: str, room: int) -> int:
    """Where to end a message: the best place among the first `room` characters.

    Before a code block or a table rather than in it, then at the end of a paragraph, line,
    sentence, word; in code and tables at the end of a line. Only those characters are looked at, so
    that a growing text is always cut in the same place.
    """
    if len(text) <= room:
        return len(text)
    window = text[:room]
    opened, start = _last_fence(window)
    table = None if opened else _last_table(window)[1]
    start = start if opened else table or 0
    if start > room // 3:
        return start
    if (opened or table is not None) and (last := window.rfind("\n") + 1) > room // 2:
        return last
    for end in _ENDS:
        places = [found.end() for found in end.finditer(window)]
        if places and places[-1] > room // 2:
            return places[-1]
    return room


def pieces(text: str, limit: int = LIMIT) -> list[str]:
    """The text as messages of at most `limit` characters; code blocks go on in the next."""
    made: list[str] = []
    lead = ""
    while True:
        end = cut(lead + text, limit - 16) - len(lead)  # room for what closes a code block
        end = max(end, 1)
        piece, text = lead + text[:end], text[end:]
        if not text:
            return [*made, piece]
        made.append(piece + closing(piece))
        lead = reopening(piece, text)
