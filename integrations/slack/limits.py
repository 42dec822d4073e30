"""Slack's limits: how often each method may be called, by all of our processes together.

Slack counts the calls of a method a minute, for a whole workspace. `calls.py` asks here before it
calls, and says here when Slack asks to wait. Knows nothing of the SDK.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from llmasos.rates import MemoryRates, Rate, Rates

MINUTE = 61.0
"""Seconds in which Slack's calls a minute are made: a little more, since calls take their time."""
BURST = 5
"""Messages that a channel takes at once, if no more than one a second comes in the long run."""

A_MINUTE = {
    "chat.startStream": 20,
    "chat.stopStream": 20,
    "chat.appendStream": 100,
    "chat.update": 50,
    "chat.delete": 50,
    "conversations.replies": 50,
    "conversations.history": 50,
    "conversations.info": 50,
    "files.getUploadURLExternal": 100,
    "files.completeUploadExternal": 100,
    "files.info": 100,
    "chat.getPermalink": 200,
    "users.info": 100,
    "assistant.threads.setStatus": 100,
    "assistant.threads.setSuggestedPrompts": 100,
    "agents.sessions.setStatus": 50,
    "chat.postEphemeral": 100,
    "usergroups.list": 20,
    "views.open": 100,
    "views.publish": 100,
}
"""Calls a minute that Slack takes (its tiers 2, 3 and 4), or, where it names none, that we make."""
POST = "chat.postMessage"


@dataclass(frozen=True)
class Limits:
    """The limits of one bot in one workspace.

    rates: what the processes agree by; bot: names it; minute: seconds in which the calls a minute
    are made.
    """

    rates: Rates
    bot: str
    minute: float = MINUTE

    def wait(self, method: str, arguments: dict[str, Any], who: str, *, must: bool) -> float:
        """Take one of a method's calls; gives 0 if it may be made now, else the seconds to wait.

        who: on whose behalf; must: it is booked rather than dropped.
        """
        name, rate = self._limit(method, arguments)
        if rate is None:
            return 0.0
        take = self.rates.must if must else self.rates.spare
        return take(name, rate, who)

    def told(self, method: str, arguments: dict[str, Any], seconds: float) -> None:
        """Slack wants no such call for so many seconds."""
        name, _ = self._limit(method, arguments)
        self.rates.pause(name, seconds)

    def _limit(self, method: str, arguments: dict[str, Any]) -> tuple[str, Rate | None]:
        name = f"slack:{self.bot}:{method}"
        if method == POST:  # counted by channel
            rate = Rate(BURST, BURST * self.minute / 60)
            return f"{name}:{arguments.get('channel')}", rate
        count = A_MINUTE.get(method)
        return name, Rate(count, self.minute) if count else None


def limits_of(rates: Rates, token: str) -> Limits:
    """The limits of the bot with this token, which stands for an app in a workspace."""
    return Limits(rates, hashlib.sha256(token.encode()).hexdigest()[:16])


def own_limits() -> Limits:
    """Limits that this process keeps by itself."""
    return Limits(MemoryRates(), "own")
