"""The port to a kind of webhook sender: how its deliveries are signed, and told apart.

Plug-ins: entry points in the group `llmasos.webhooks`, whose value is a class without arguments
that gives a `Source`. The house's own is `generic.py`.
"""

from collections.abc import Mapping
from typing import Protocol

from llmasos.errors import UsageError


class Refused(UsageError):
    """A delivery was not signed as it must be; nothing was done with it."""


class Source(Protocol):
    """Tells a genuine delivery from a forged, stale or altered one."""

    def verify(self, headers: Mapping[str, str], body: bytes, secret: bytes, now: float) -> str:
        """Check a delivery and give its idempotency key, unique among this webhook's deliveries.

        headers: names in lower case; a header that came twice has its values joined by `, `.
        body: the raw bytes, not yet looked at by anybody.
        now: seconds since the epoch.
        Raises Refused for whatever is wrong with the signature: headers hold anything at all.
        Raises InvalidRequest when the delivery is genuine and its idempotency key is unusable.
        """
        ...
