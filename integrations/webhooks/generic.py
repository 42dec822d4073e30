"""The source `generic`: a timestamp and an HMAC-SHA256 in one header.

    X-Llmasos-Signature: t=1767225600,v1=5257a869…
    Idempotency-Key: order-4711-question          (optional)

`v1` is the hex HMAC-SHA256 of `TIMESTAMP.BODY` with the webhook's secret; several `v1` may stand
there while a sender changes its secret. `sign` makes the header for senders in Python. Without an
Idempotency-Key the signature itself tells deliveries apart.
"""

import hashlib
import hmac
import re
import threading
from collections.abc import Mapping

from integrations.webhooks.source import Refused
from llmasos.errors import InvalidRequest

SIGNATURE_HEADER = "x-llmasos-signature"
KEY_HEADER = "idempotency-key"
WINDOW = 300
"""Seconds that a signature is good for, before and after its timestamp."""
LONGEST_KEY = 200

_PART = re.compile(r"(t|v1)=([0-9a-f]{1,64})", re.ASCII)
_MOST_SIGNATURES = 5


def sign(secret: str | bytes, body: bytes, now: float) -> str:
    """The value of `X-Llmasos-Signature` for a delivery.

    secret: the webhook's secret; body: the exact bytes that will be sent; now: seconds since the
    epoch, as the sender's clock says. Send it within five minutes.
    """
    return f"t={int(now)},v1={_digest(secret, int(now), body)}"


class GenericSource:
    """Deliveries signed with `sign`."""

    def __init__(self) -> None:
        self._seen = _SeenSignatures()

    def verify(self, headers: Mapping[str, str], body: bytes, secret: bytes, now: float) -> str:
        """Check a delivery and give its idempotency key. See `Source.verify`."""
        timestamp, given = _parsed(headers.get(SIGNATURE_HEADER, ""))
        expected = _digest(secret, timestamp, body)
        if not any(hmac.compare_digest(expected, each) for each in given):
            raise Refused("The signature does not fit this body and secret.")
        if abs(now - timestamp) > WINDOW:
            raise Refused(
                f"The signature is {abs(now - timestamp):.0f} seconds off our clock, at most "
                f"{WINDOW} are allowed. Sign the delivery again right before it is sent."
            )
        signature = f"{timestamp}.{expected}"
        key = headers.get(KEY_HEADER)
        if key is None:
            key = signature
        elif not (key.isascii() and key.isprintable() and 0 < len(key) <= LONGEST_KEY):
            raise InvalidRequest(
                f"The Idempotency-Key must be 1 to {LONGEST_KEY} printable ASCII characters."
            )
        self._seen.bind(signature, key, now)
        return key


class _SeenSignatures:
    """Which key each signature of the last minutes came with.

    The Idempotency-Key is not signed: who records a delivery could send it again under another key
    and make a second job. Only genuine deliveries get in, so that it cannot be filled from outside.
    """

    def __init__(self) -> None:
        self._keys: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def bind(self, signature: str, key: str, now: float) -> None:
        with self._lock:
            # Oldest first, as a dictionary keeps its order. A signature lives for two windows:
            # it may come from a clock that goes ahead by one.
            for old, (_, since) in list(self._keys.items()):
                if now - since <= 2 * WINDOW:
                    break
                del self._keys[old]
            known, _ = self._keys.setdefault(signature, (key, now))
        if known != key:
            raise Refused("This signature was used before with another Idempotency-Key.")


def _digest(secret: str | bytes, timestamp: int, body: bytes) -> str:
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.new(key, b"%d.%b" % (timestamp, body), hashlib.sha256).hexdigest()


def _parsed(header: str) -> tuple[int, list[str]]:
    """The timestamp and the signatures of the header."""
    parts = [_PART.fullmatch(part.strip(" ")) for part in header.split(",", 2 * _MOST_SIGNATURES)]
    pairs = [(match[1], match[2]) for match in parts if match]
    times = [value for name, value in pairs if name == "t"]
    signatures = [value for name, value in pairs if name == "v1"]
    well_formed = len(pairs) == len(parts) and 1 <= len(signatures) <= _MOST_SIGNATURES
    if not (well_formed and len(times) == 1 and times[0].isdecimal() and len(times[0]) <= 12):
        raise Refused("X-Llmasos-Signature must be `t=TIMESTAMP,v1=HEX`.")
    return int(times[0]), signatures
