"""Slack's rate limits: so many calls of a method a minute, and a message a second in a channel.

Off until a test turns them on and says how long a minute is. A call that is refused does not count.
"""

import math
import time
from collections import defaultdict

from llmasos.testing.slack.workspace import Json

TIERS = {2: 20, 3: 50, 4: 100}
"""Calls a minute."""
TIER_OF = {
    "chat.startStream": 2,
    "chat.stopStream": 2,
    "chat.update": 3,
    "chat.delete": 3,
    "conversations.replies": 3,
    "conversations.history": 3,
    "conversations.info": 3,
    "agents.sessions.setStatus": 3,
    "reactions.add": 3,
    "chat.appendStream": 4,
    "chat.postEphemeral": 4,
    "views.open": 4,
    "views.update": 4,
    "views.publish": 4,
    "files.getUploadURLExternal": 4,
    "files.completeUploadExternal": 4,
    "files.info": 4,
    "users.info": 4,
    "assistant.threads.setStatus": 4,
    "assistant.threads.setSuggestedPrompts": 4,
}
BURST = 5


class Limits:
    """What was called within the last minute. minute: its length in seconds; None: no limits."""

    def __init__(self) -> None:
        self.minute: float | None = None
        self.refused: list[str] = []
        """The methods of the calls that came too soon."""
        self._taken: dict[str, list[float]] = defaultdict(list)

    def wait(self, method: str, arguments: Json, token: str = "") -> float | None:
        """Take a call; gives the seconds to wait when it comes too soon.

        token: whose it is; each workspace has its own.
        """
        if self.minute is None:
            return None
        if method == "chat.postMessage":
            name, count, seconds = f"{method}:{arguments.get('channel')}", BURST, BURST / 60
        elif method in TIER_OF:
            name, count, seconds = method, TIERS[TIER_OF[method]], 1.0
        else:
            return None
        name = f"{token}:{name}"
        now, stretch = time.monotonic(), seconds * self.minute
        taken = self._taken[name] = [at for at in self._taken[name] if at > now - stretch]
        if len(taken) < count:
            taken.append(now)
            return None
        self.refused.append(method)
        wait = taken[0] + stretch - now
        return wait if self.minute < 60 else math.ceil(wait)
