"""The sources `hmac` and `token`: for senders without a source of their own.

`hmac`: a header has the HMAC-SHA256 of the body, in hex or base64, perhaps after `sha256=`
(Shopify, Bitbucket, Sentry, Linear …). `token`: a header has the shared secret itself, perhaps
after `Bearer `; only over TLS is it worth anything.
"""

from collections.abc import Mapping
from typing import Any

from integrations.webhooks import proof, telling
from integrations.webhooks.source import Event, Genuine, Refused
from llmasos.settings import WebhookSettings


def check_hmac(given: str, body: bytes, secrets: tuple[bytes, ...], header: str) -> None:
    """Check the HMAC-SHA256 of a body. Raises Refused. header: its name, to say what is wrong."""
    value = given.removeprefix("sha256=")
    signature = proof.from_hex(value) or proof.from_base64(value)
    if not signature:
        raise Refused(f"{header} must have the HMAC-SHA256 of the body.")
    if not proof.any_fits(proof.digests(secrets, body), [signature]):
        raise Refused(f"{header} does not fit this body and secret.")


def check_token(given: str, secrets: tuple[bytes, ...], header: str) -> None:
    """Check a shared token. Raises Refused. header: its name, to say what is wrong."""
    # Of digests, so that not even the token's length can be found out.
    if not proof.any_fits(map(proof.digest, secrets), [proof.digest(proof.as_bytes(given))]):
        raise Refused(f"{header} does not have this webhook's token.")


class HmacSource:
    """Deliveries with the HMAC-SHA256 of their body in a header."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._secrets, self._header = proof.secrets_of(settings), settings.header or "X-Signature"
        self._id_header = settings.id_header
        self.proofs = frozenset((self._header.lower(),))

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> Genuine:
        """Check a delivery. See `Source.verify`."""
        check_hmac(headers.get(self._header.lower(), ""), body, self._secrets, self._header)
        return Genuine(proof.own_id(headers, self._id_header))

    def event(self, headers: Mapping[str, str], body: Any) -> Event:
        """What it tells. See `Source.event`."""
        return telling.of_any(headers, body)


class TokenSource:
    """Deliveries with the webhook's secret in a header."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._secrets = proof.secrets_of(settings)
        self._header = settings.header or "Authorization"
        self._id_header = settings.id_header
        self.proofs = frozenset((self._header.lower(),))

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> Genuine:
        """Check a delivery. See `Source.verify`."""
        given = headers.get(self._header.lower(), "")
        scheme, _, rest = given.partition(" ")
        token = rest if scheme.lower() == "bearer" else given
        check_token(token, self._secrets, self._header)
        return Genuine(proof.own_id(headers, self._id_header))

    def event(self, headers: Mapping[str, str], body: Any) -> Event:
        """What it tells. See `Source.event`."""
        return telling.of_any(headers, body)
