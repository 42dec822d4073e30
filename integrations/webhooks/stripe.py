"""The source `stripe`: Stripe's events, signed in `Stripe-Signature: t=…,v1=HEX`."""

import json
from collections.abc import Mapping
from typing import Any

from integrations.webhooks import proof, telling
from integrations.webhooks.generic import stamped
from integrations.webhooks.source import Event, Genuine, Refused
from llmasos.settings import WebhookSettings

WHOLE = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF"
"""Currencies without cents."""


class StripeSource:
    """Stripe's events, known by their own id, which is part of the signed body."""

    proofs = frozenset(("stripe-signature",))

    def __init__(self, settings: WebhookSettings) -> None:
        self._secrets, self._window = proof.secrets_of(settings), settings.window

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> Genuine:
        """Check a delivery. See `Source.verify`."""
        time, given = stamped(headers.get("stripe-signature", ""), passed_over=("v0",))
        if not given:
            raise Refused("Stripe-Signature must be `t=TIMESTAMP,v1=HEX`.")
        if not proof.any_fits(proof.digests(self._secrets, time.encode() + b"." + body), given):
            raise Refused("The signature does not fit this body and secret.")
        proof.stamp(time, now, self._window)
        return Genuine(_id(body))

    def event(self, headers: Mapping[str, str], body: Any) -> Event:
        """What it tells. See `Source.event`."""
        kind = telling.words(body, "type") or "event"
        thing = telling.found(body, "data.object")
        what, _, verb = kind.rpartition(".")
        named = what.replace(".", " ").replace("_", " ").capitalize() or "Event"
        lines = [f"{named} {verb.replace('_', ' ')}".strip()]
        currency = telling.words(thing, "currency").upper()
        for field in ("amount", "amount_due", "amount_paid", "amount_refunded", "total"):
            amount = telling.found(thing, field)
            if currency and isinstance(amount, int) and not isinstance(amount, bool):
                shown = f"{amount}" if currency in WHOLE.split() else f"{amount / 100:.2f}"
                lines.append(f"{field.replace('_', ' ').capitalize()}: {shown} {currency}")
        for field in (
            "id", "customer", "email", "receipt_email", "description", "status", "failure_message",
            "reason", "billing_reason", "collection_method", "quantity", "plan.id", "plan.nickname",
            "coupon.id", "coupon.percent_off", "charge", "payment_intent", "invoice",
            "hosted_invoice_url", "receipt_url", "cancellation_details.reason",
        ):  # fmt: skip
            lines += telling.labelled(field.replace(".", " ").replace("_", " "), thing, field)
        changed = telling.found(body, "data.previous_attributes")
        if isinstance(changed, dict):
            lines += [
                f"{name.replace('_', ' ').capitalize()}: was {telling.plain(old)}, "
                f"is {telling.plain(telling.found(thing, name))}"
                for name, old in list(changed.items())[:20]
            ]
        if telling.found(body, "livemode") is False:
            lines.append("(test mode)")
        return Event(kind, "\n".join(lines))


def _id(body: bytes) -> str | None:
    """The event's id; None for what is no event of Stripe's."""
    try:
        found = telling.words(json.loads(body), "id")
    except (ValueError, RecursionError):
        return None  # `Hook.read` will say so
    return found if found.isascii() and found.isprintable() and 0 < len(found) <= 200 else None
