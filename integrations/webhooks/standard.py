"""The source `standard`: deliveries signed as the Standard Webhooks specification says.

    webhook-id: msg_2b…        the same on every try, and signed
    webhook-timestamp: 1767225600
    webhook-signature: v1,K5oZfzN95Z9U…  (several, with spaces between, while the secret changes)

A secret that begins with `whsec_` is base64; any other is taken as it stands. `signer` serves
`callback.py` too.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from integrations.webhooks import proof, telling
from integrations.webhooks.source import Event, Genuine, Refused
from llmasos.errors import SettingsError
from llmasos.settings import WebhookSettings

Signer = Webhook
"""What signs with one secret."""
_MOST_SIGNATURES = 10


def signer(secret: str, setting: str) -> Signer:
    """What signs with a secret. setting: its name. Raises SettingsError when it cannot be used."""
    try:
        return Webhook(secret if secret.startswith("whsec_") else secret.encode())
    except (ValueError, EmptyWebhookSecretError) as error:
        raise SettingsError(
            setting, "", "begins with `whsec_`, but what follows is not base64"
        ) from error


class StandardSource:
    """Deliveries of the many services that follow the specification."""

    proofs = frozenset(("webhook-signature",))

    def __init__(self, settings: WebhookSettings) -> None:
        place = f"webhooks.{settings.name}.secret"
        self._signers = [signer(each.get_secret_value(), place) for each in settings.secret]
        self._window = settings.window

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> Genuine:
        """Check a delivery. See `Source.verify`."""
        own_id = headers.get("webhook-id", "")
        words = headers.get("webhook-signature", "").split(" ", _MOST_SIGNATURES)
        given = [proof.from_base64(each[3:]) for each in words if each.startswith("v1,")]
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise Refused("The body is not UTF-8, so no signature can fit it.") from None
        if not own_id or not own_id.isascii() or not given:
            raise Refused("webhook-id and webhook-signature (`v1,BASE64`) must be there.")
        # Within the window before it is made a date of: that has limits of its own.
        at = proof.stamp(headers.get("webhook-timestamp", ""), now, self._window)
        when = datetime.fromtimestamp(at, UTC)
        signed = [each.sign(own_id, when, text).removeprefix("v1,") for each in self._signers]
        if not proof.any_fits(map(proof.from_base64, signed), given):
            raise Refused("The signature does not fit this body and secret.")
        return Genuine(proof.own_id(headers, "webhook-id"))

    def event(self, headers: Mapping[str, str], body: Any) -> Event:
        """What it tells: the specification has `type` and `data`. See `Source.event`."""
        return telling.of_any(headers, body)
