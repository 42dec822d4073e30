"""The port to a kind of webhook sender: how its deliveries are proved, and what they tell.

Plug-ins: entry points in the group `llmasos.webhooks`, whose value is called with a webhook's
settings and gives a `Source`. The house's own come in by the same door; `proof.py` has the checks
that they share, `telling.py` how they read JSON. Knows nothing of HTTP servers or of jobs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from llmasos.errors import UsageError


class Refused(UsageError):
    """A delivery was not signed as it must be; nothing was done with it."""


@dataclass(frozen=True)
class Genuine:
    """A delivery that its sender proved to be its own."""

    id: str | None = None
    """The sender's own id of it, the same when it is sent again; None: the sender gives none."""
    seal: str | None = None
    """What was signed, when the id is not part of that: it may come under one id only."""


@dataclass(frozen=True)
class Event:
    """What a delivery tells, for people and for templates."""

    kind: str
    """What happened, in the sender's own words: `issues.opened`, `firing`, `charge.succeeded`."""
    text: str
    """The same in words that a person can read."""


class Source(Protocol):
    """Tells a genuine delivery from a forged, stale or altered one, and says what it is about."""

    proofs: frozenset[str]
    """The headers, in lower case, that prove the sender: no template and no log sees them."""

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> Genuine:
        """Check a delivery.

        headers: names in lower case; a header that came twice has its values joined by `, `.
        body: the raw bytes, not yet looked at by anybody.
        now: seconds since the epoch.
        Raises Refused for whatever is wrong with the proof: headers hold anything at all.
        Raises InvalidRequest when the delivery is genuine and its id is unusable.
        """
        ...

    def event(self, headers: Mapping[str, str], body: Any) -> Event:
        """What a genuine delivery tells.

        headers: as above; body: the JSON in it, which may be of any form all the same.
        """
        ...
