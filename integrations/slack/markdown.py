"""The text of answers: made harmless, and cut into messages.

What a model writes goes into Slack as standard Markdown. It must not call people together, and a
message holds only so much. Pure functions; knows nothing of the SDK.
"""

import re

LIMIT = 11_000
"""Characters of answer in one message (Slack takes 12,000 of Markdown in all)."""

_PING = re.compile(r"<(?=!(?:channel|here|everyone|group)|!subteam\^|@[a-z0-9])", re.IGNORECASE)
_UNFINISHED = re.compile(r"<[!@][a-z^]{0,8}$|<$", re.IGNORECASE)
_FENCE = re.compile(r"^ {0,3}(`{3,12}(?!`)|~{3,12}(?!~))(.*)$")
_ENDS = (
    re.compile(r"\n\n+"),
    re.compile(r"\n"),
    re.compile(r"[.!?]\s+|[。!?]"),
    re.compile(r"\s+"),
)


def harmless(text: str) -> str:
    """The text with mentions that would ping people broken by an invisible word joiner.

    Of a growing text take `settled` first, so that what was harmless stays as it is.
    """
    return _PING.sub("<\u2060", text)


def settled(text: str) -> str:
    """A growing text without an end that may yet become a mention."""
    found = _UNFINISHED.search(text, max(0, len(text) - 12))
    return text[: found.start()] if found else text


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


def reopening(text: str) -> str:
    """What the text that follows one ending within a code block must begin with."""
    opened = open_fence(text)
    return f"{opened}\n" if opened else ""


def _marks(opened: str) -> int:
    return len(opened) - len(opened.lstrip(opened[0]))


def cut(text: str, room: int) -> int:
    """Where to end a message: the best place among the first `room` characters.

    Before a code block rather than in it, then at the end of a paragraph, line, sentence, word.
    Only those characters are looked at, so that a growing text is always cut in the same place.
    """
    if len(text) <= room:
        return len(text)
    window = text[:room]
    opened, start = _last_fence(window)
    if opened and start > room // 3:
        return start
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
        piece, text = lead + text[:end], text[end:]
        if not text:
            return [*made, piece]
        made.append(piece + closing(piece))
        lead = reopening(piece)
