"""The source `generic`: a timestamp and an HMAC-SHA256 in one header.

    X-Llmasos-Signature: t=1767225600,v1=5257a869…
    Idempotency-Key: order-4711-question          (optional)

`v1` is the hex HMAC-SHA256 of `TIMESTAMP.BODY` with the webhook's secret; several `v1` may stand
there while a sender changes its secret. `sign` makes the header for senders in Python. Without an
Idempotency-Key what was signed tells deliveries apart.
"""

from collections.abc import Mapping
from typing import Any

from integrations.webhooks import proof, telling
from integrations.webhooks.source import Event, Genuine, Refused
from llmasos.settings import WebhookSettings

SIGNATURE_HEADER = "x-llmasos-signature"
_MOST_SIGNATURES = 5


def sign(secret: str | bytes, body: bytes, now: float) -> str:
    """The value of `X-Llmasos-Signature` for a delivery.

    secret: the webhook's secret; body: the exact bytes that will be sent; now: seconds since the
    epoch, as the sender's clock says. Send it within five minutes.
    """
    key = secret.encode() if isinstance(secret, str) else secret
    return f"t={int(now)},v1={proof.digests([key], b'%d.%b' % (int(now), body))[0].hex()}"


def stamped(header: str, passed_over: tuple[str, ...] = ()) -> tuple[str, list[bytes]]:
    """The timestamp and the signatures in `t=TIMESTAMP,v1=HEX,…`, empty if it is anything else.

    passed_over: names of parts that may stand there too.
    """
    parts = [part.strip(" ").partition("=") for part in header.split(",", 2 * _MOST_SIGNATURES)]
    times = [value for name, _, value in parts if name == "t"]
    signatures = [proof.from_hex(value) for name, _, value in parts if name == "v1"]
    known = {name for name, _, _ in parts} <= {"t", "v1", *passed_over}
    right = known and len(times) == 1 and len(signatures) <= _MOST_SIGNATURES and all(signatures)
    return (times[0], signatures) if right else ("", [])


class GenericSource:
    """Deliveries signed with `sign`."""

    proofs = frozenset((SIGNATURE_HEADER,))

    def __init__(self, settings: WebhookSettings) -> None:
        self._secrets, self._window = proof.secrets_of(settings), settings.window

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> Genuine:
        """Check a delivery. See `Source.verify`."""
        time, given = stamped(headers.get(SIGNATURE_HEADER, ""))
        if not given:
            raise Refused("X-Llmasos-Signature must be `t=TIMESTAMP,v1=HEX`.")
        signed = time.encode() + b"." + body
        if not proof.any_fits(proof.digests(self._secrets, signed), given):
            raise Refused("The signature does not fit this body and secret.")
        proof.stamp(time, now, self._window)
        seal = f"{time}.{proof.digest(signed).hex()}"  # as good as the signature, with any secret
        return Genuine(proof.own_id(headers, "Idempotency-Key") or seal, seal)

    def event(self, headers: Mapping[str, str], body: Any) -> Event:
        """What it tells. See `Source.event`."""
        return telling.of_any(headers, body)
