"""Callbacks: answers that go to a URL, signed the Standard Webhooks way.

The channels `http` and `https`. A callback carries `webhook-id` (the job, the same on every try, by
which a receiver knows a repeat), `webhook-timestamp` and `webhook-signature`; its body is
`{"type": "job.succeeded" | "job.failed" | "job.cancelled", "data": {"id", "agent", "status",
"reply", "error"}}`. Addresses come from people: a name is looked up once, what it leads to is
checked, and just that is connected to. When to try again is the worker's to say. Start reading at
`CallbackPost.finish`.
"""

import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from llmasos.channels import Draft, Journal, Outcome, Post, Turnover
from llmasos.errors import ChannelRefused, ChannelUnavailable, SettingsError
from llmasos.events import Approval, Failure, Reply
from llmasos.network import Address, is_public, look_up
from llmasos.settings import CallbackSettings, Settings

TRY_AGAIN = frozenset(
    (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
)
"""Refusals that may be different later, beside every 5xx."""
LONGEST_PAUSE = 3600.0


def http_channel(settings: Settings) -> "CallbackChannel | None":
    """Callbacks to `http://…`; None without a secret to sign them with."""
    return _channel("http", settings)


def https_channel(settings: Settings) -> "CallbackChannel | None":
    """Callbacks to `https://…`; None without a secret to sign them with."""
    return _channel("https", settings)


def _channel(scheme: str, settings: Settings) -> "CallbackChannel | None":
    secret = settings.callbacks.secret
    if secret is None:
        return None
    return CallbackChannel(scheme, _signer(secret.get_secret_value()), settings.callbacks)


class CallbackChannel:
    """Brings answers to URLs of one scheme."""

    def __init__(self, scheme: str, signer: Webhook, settings: CallbackSettings) -> None:
        self.scheme = scheme
        self._signer, self._settings = signer, settings

    def open(self, address: str, turn: Turnover, journal: Journal) -> Post:
        """The callback of this job to this URL."""
        try:
            parts = urlsplit(address)
            usable = bool(parts.hostname) and parts.port != 0 and parts.scheme == self.scheme
        except ValueError:
            usable = False
        if not usable:
            raise ChannelRefused(address, "it is not a usable URL")
        return CallbackPost(address, turn, journal, self._signer, self._settings)


class CallbackPost:
    """One job's answer on its way to one URL."""

    interval = 60.0

    def __init__(
        self,
        url: str,
        turn: Turnover,
        journal: Journal,
        signer: Webhook,
        settings: CallbackSettings,
    ) -> None:
        self._url, self._turn, self._journal = url, turn, journal
        self._signer, self._settings = signer, settings

    def show(self, draft: Draft) -> None:
        """Nothing: a receiver gets the answer once, when it is whole."""

    def finish(self, outcome: Outcome) -> None:
        """Send the answer; returns when the receiver has taken it. Questions are for people only.

        Raises ChannelRefused or ChannelUnavailable.
        """
        if isinstance(outcome, Approval):
            return
        rows = self._journal.rows()
        if any(row.state == "closed" for row in rows):
            return  # another worker brought it and could not say so any more
        target = self._checked_target()
        if not rows:
            self._journal.begin(0, streaming=False)
        body = json.dumps(payload(self._turn, outcome))
        self._journal.check()
        self._send(target, body)
        self._journal.opened(0, self._turn.job_id, streaming=False)
        self._journal.closed(0)

    def _checked_target(self) -> Address:
        """The address to connect to, looked up once: a second look-up may give another."""
        parts = urlsplit(self._url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            addresses = look_up(str(parts.hostname), port)
        except OSError as error:
            raise ChannelUnavailable(self._url, f"its name cannot be looked up: {error}") from error
        if not self._settings.allow_private and not all(map(is_public, addresses)):
            raise ChannelRefused(
                self._url,
                "it leads to a private address. Where that is wanted, set [callbacks] "
                "allow_private = true.",
            )
        return addresses[0]

    def _send(self, target: Address, body: str) -> None:
        url = httpx.URL(self._url)
        now = datetime.now(UTC)
        headers = {
            "host": url.netloc.decode("ascii"),
            "content-type": "application/json",
            "user-agent": "llmasos",
            "webhook-id": self._turn.job_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(self._turn.job_id, now, body),
        }
        try:
            # No proxy or redirect may lead to where we did not look.
            with (
                httpx.Client(trust_env=False, timeout=self._settings.timeout) as client,
                client.stream(
                    "POST",
                    url.copy_with(host=str(target)),
                    content=body.encode(),
                    headers=headers,
                    extensions={"sni_hostname": url.host},
                ) as response,
            ):
                self._judge(response)
        except httpx.HTTPError as error:
            raise ChannelUnavailable(self._url, f"{type(error).__name__}: {error}") from error

    def _judge(self, response: httpx.Response) -> None:
        if response.is_success:
            return
        said = f"it answered {response.status_code}"
        if response.is_server_error or response.status_code in TRY_AGAIN:
            raise ChannelUnavailable(self._url, said, _pause(response.headers.get("retry-after")))
        if response.is_redirect:
            said += "; redirects are not followed, name the final URL"
        raise ChannelRefused(self._url, said)


def payload(turn: Turnover, outcome: Reply | Failure) -> dict[str, Any]:
    """What a callback's body says."""
    if isinstance(outcome, Reply):
        status = "succeeded"
    else:
        status = "cancelled" if outcome.type == "JobCancelled" else "failed"
    reply = outcome.as_json() if isinstance(outcome, Reply) else None
    error = outcome.model_dump(exclude={"kind"}) if isinstance(outcome, Failure) else None
    return {
        "type": f"job.{status}",
        "data": {
            "id": turn.job_id,
            "agent": turn.agent,
            "status": status,
            "reply": reply,
            "error": error,
        },
    }


def _signer(secret: str) -> Webhook:
    """`whsec_` begins a secret in base64; any other is taken as it stands."""
    try:
        return Webhook(secret if secret.startswith("whsec_") else secret.encode())
    except (ValueError, EmptyWebhookSecretError) as error:
        raise SettingsError(
            "callbacks.secret", "", "begins with `whsec_`, but what follows is not base64"
        ) from error


def _pause(retry_after: str | None) -> float:
    """The seconds that a receiver asks us to wait."""
    if retry_after and retry_after.isascii() and retry_after.isdecimal():
        return min(float(retry_after), LONGEST_PAUSE)
    return 0.0
