"""Reading a call while a model writes it: `{"function": {"name": …, "parameters": …}}`.

The schema of `tool_grammar.py` has the name come first, so it is known before the arguments are
written. Pure; used by `chats.py`.
"""

import re

_NAME = re.compile(r'\s*\{\s*"function"\s*:\s*\{\s*"name"\s*:\s*"([^"]+)"')
_PARAMETERS = re.compile(r'\s*,\s*"parameters"\s*:\s*(?=\{)')


class CallReader:
    """Reads one call out of a text that comes in pieces.

    name: None until it is read. whole: whether the arguments are complete.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self.whole = False
        self._unread = ""
        self._depth = 0
        self._begun = self._quoted = self._escaped = False

    def feed(self, piece: str) -> str:
        """The part of the arguments that stands in the piece, as JSON."""
        self._unread += piece
        if self.name is None and (name := _NAME.match(self._unread)):
            self.name = name[1]
            self._unread = self._unread[name.end() :]
        if self.name is not None and not self._begun:
            before = _PARAMETERS.match(self._unread)
            if before:
                self._begun = True
                self._unread = self._unread[before.end() :]
        if not self._begun or self.whole:
            return ""
        unread, self._unread = self._unread, ""
        return self._arguments(unread)

    def _arguments(self, text: str) -> str:
        """The text up to where the arguments' outermost brace closes."""
        for at, character in enumerate(text):
            if self._escaped:
                self._escaped = False
            elif self._quoted:
                self._escaped = character == "\\"
                self._quoted = character != '"'
            elif character == '"':
                self._quoted = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if not self._depth:
                    self.whole = True
                    return text[: at + 1]
        return text
