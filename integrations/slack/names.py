"""People's and channels' names, asked of Slack once and kept for an hour. Safe for several threads.

A name that Slack does not tell is its id: an answer does not wait for it. Start reading at
`Names.of`.
"""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import structlog

from integrations.slack.calls import Calls, SlackError

log = structlog.get_logger()

KEPT = 5_000
FRESH = 3_600.0
"""Seconds for which a name is kept."""
AGAIN = 60.0
"""Seconds after which Slack is asked again for one that it did not tell."""
LONGEST = 80
MOST_MENTIONS = 20
"""How many members of one text are called by their names: each may cost a call."""
_MEMBER = re.compile(r"@([UW][A-Z0-9]{4,20})\b")


class Names:
    """The names of one workspace."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._kept: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, user: str) -> str:
        """What a member is called."""
        return self._name(user, self._ask_user)

    def of_channel(self, channel: str) -> str:
        """What a channel is called, with its `#`."""
        return self._name(channel, self._ask_channel)

    def resolved(self, text: str) -> str:
        """A text with the members that it mentions by id called by their names."""
        mentioned = list(dict.fromkeys(_MEMBER.findall(text)))[:MOST_MENTIONS]
        names = {user: self.of(user) for user in mentioned}
        return _MEMBER.sub(lambda found: f"@{names.get(found[1], found[1])}", text)

    def _name(self, of: str, ask: Callable[[str], str]) -> str:
        with self._lock:
            name, until = self._kept.get(of, ("", 0.0))
        if time.monotonic() < until:
            return name
        try:
            name, fresh = ask(of)[:LONGEST] or of, FRESH
        except SlackError as error:
            log.info("slack.name_unknown", of=of, reason=type(error).__name__)
            name, fresh = name or of, AGAIN
        with self._lock:
            self._kept[of] = (name, time.monotonic() + fresh)
            self._kept.move_to_end(of)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return name

    def _ask_user(self, user: str) -> str:
        told = _table(self._calls(self._calls.client.users_info, user=user), "user")
        profile = told.get("profile")
        display = profile.get("display_name") if isinstance(profile, dict) else None
        for name in (display, told.get("real_name"), told.get("name")):
            if isinstance(name, str) and name.strip():
                return " ".join(name.split())
        return ""

    def _ask_channel(self, channel: str) -> str:
        answer = self._calls(self._calls.client.conversations_info, channel=channel)
        told = _table(answer, "channel")
        name = told.get("name")
        return f"#{name}" if isinstance(name, str) and name else ""


def _table(answer: dict[str, Any], word: str) -> dict[str, Any]:
    found = answer.get(word)
    return found if isinstance(found, dict) else {}
