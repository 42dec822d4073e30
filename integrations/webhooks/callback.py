"""Callbacks: answers that go to a URL, signed the Standard Webhooks way.

The channels `http` and `https`. A callback carries `webhook-id` (the job, the same on every try, by
which a receiver knows a repeat), `webhook-timestamp` and `webhook-signature`; its body is
`{"type": "job.succeeded" | "job.failed" | "job.cancelled", "data": {"id", "agent", "status",
"reply", "error", "webhook": {"name", "id", "event", "tag"} | null}}`. Addresses come from people: a
name is looked up once, what it leads to is checked, and just that is connected to. When to try
again is the worker's to say. Start reading at `CallbackPost.finish`.
"""

import asyncio
import json
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any

import httpx

from integrations.webhooks.standard import Signer, signer
from llmasos.channels import Draft, Journal, Outcome, Post, Turnover
from llmasos.errors import ChannelRefused, ChannelUnavailable
from llmasos.events import Approval, Failure, Reply
from llmasos.network import Address, is_public, look_up
from llmasos.settings import CallbackSettings, Settings

TRY_AGAIN = frozenset(
    (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
)
"""Refusals that may be different later, beside every 5xx."""
LONGEST_PAUSE = 86_400.0
"""Seconds that a receiver may ask us to wait."""


def http_channel(settings: Settings) -> "CallbackChannel | None":
    """Callbacks to `http://…`; None without a secret to sign them with."""
    return _channel("http", settings)


def https_channel(settings: Settings) -> "CallbackChannel | None":
    """Callbacks to `https://…`; None without a secret to sign them with."""
    return _channel("https", settings)


def _channel(scheme: str, settings: Settings) -> "CallbackChannel | None":
    secrets = settings.callbacks.secret
    if secrets is None:
        return None
    signers = [signer(each.get_secret_value(), "callbacks.secret") for each in secrets]
    return CallbackChannel(scheme, signers, settings.callbacks)


class CallbackChannel:
    """Brings answers to URLs of one scheme. signers: one a secret; a receiver needs to know one."""

    def __init__(self, scheme: str, signers: list[Signer], settings: CallbackSettings) -> None:
        self.scheme, self.settings = scheme, settings
        self._signers = signers

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """What certificates are checked with; it takes a moment to load."""
        return httpx.create_ssl_context()

    def sign(self, job_id: str, now: datetime, body: str) -> str:
        """The signatures of a body."""
        return " ".join(each.sign(job_id, now, body) for each in self._signers)

    def open(self, address: str, turn: Turnover, journal: Journal) -> Post:
        """The callback of this job to this URL."""
        # One reading of it only: what two readers see differently leads past every check.
        try:
            url = httpx.URL(address)
        except httpx.InvalidURL as error:
            raise ChannelRefused(address, f"it is not a usable URL: {error}") from error
        usable_port = url.port is None or 0 < url.port < 65_536
        if not url.host or not usable_port or url.scheme != self.scheme:
            raise ChannelRefused(address, "it is not a usable URL")
        if url.userinfo:
            raise ChannelRefused(address, "it is not a usable URL: leave user and password out")
        return CallbackPost(url, turn, journal, self)


class CallbackPost:
    """One job's answer on its way to one URL."""

    interval = 60.0

    def __init__(
        self, url: httpx.URL, turn: Turnover, journal: Journal, channel: CallbackChannel
    ) -> None:
        self._url, self._turn, self._journal, self._channel = url, turn, journal, channel

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
        targets = self._checked_targets()
        if not rows:
            self._journal.begin(0, streaming=False)
        body = json.dumps(payload(self._turn, outcome))
        self._journal.check()
        self._send(targets, body)
        self._journal.opened(0, self._turn.job_id, streaming=False)
        self._journal.closed(0)

    def _checked_targets(self) -> list[Address]:
        """The addresses to connect to, looked up once: a second look-up may give others."""
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        try:
            addresses = look_up(self._url.raw_host.decode("ascii"), port)
        except OSError as error:
            raise self._unavailable(f"its name cannot be looked up: {error}") from error
        if not self._channel.settings.allow_private and not all(map(is_public, addresses)):
            raise self._refused(
                "it leads to a private address. Where that is wanted, set [callbacks] "
                "allow_private = true."
            )
        return addresses

    def _send(self, targets: list[Address], body: str) -> None:
        """Send it within the time for all of it, however slowly the receiver speaks."""
        seconds = self._channel.settings.timeout
        try:
            asyncio.run(asyncio.wait_for(self._post(targets, body), seconds))
        except TimeoutError as error:
            raise self._unavailable(f"it did not answer within {seconds:g} seconds") from error
        except httpx.HTTPError as error:
            raise self._unavailable(f"{type(error).__name__}: {error}") from error

    async def _post(self, targets: list[Address], body: str) -> None:
        """Send it to the first address that takes the connection."""
        now = datetime.now(UTC)
        headers = {
            "host": self._url.netloc.decode("ascii"),
            "content-type": "application/json",
            "user-agent": "llmasos",
            "webhook-id": self._turn.job_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._channel.sign(self._turn.job_id, now, body),
        }
        # No proxy or redirect may lead to where we did not look.
        tls = self._channel.tls if self._url.scheme == "https" else False
        async with httpx.AsyncClient(verify=tls, trust_env=False, timeout=None) as client:
            for number, target in enumerate(targets, 1):
                request = client.build_request(
                    "POST",
                    self._url.copy_with(host=str(target)),
                    content=body.encode(),
                    headers=headers,
                    extensions={"sni_hostname": self._url.raw_host.decode("ascii")},
                )
                try:
                    response = await client.send(request, stream=True)
                except httpx.ConnectError:
                    if number == len(targets):
                        raise
                    continue
                self._judge(response)  # its head alone: nobody reads its body
                return

    def _judge(self, response: httpx.Response) -> None:
        if response.is_success:
            return
        said = f"it answered {response.status_code}"
        if response.is_server_error or response.status_code in TRY_AGAIN:
            raise self._unavailable(said, _pause(response.headers.get("retry-after", "")))
        if response.is_redirect:
            said += "; redirects are not followed, name the final URL"
        raise self._refused(said)

    def _unavailable(self, reason: str, pause: float = 0.0) -> ChannelUnavailable:
        return ChannelUnavailable(str(self._url), reason, pause)

    def _refused(self, reason: str) -> ChannelRefused:
        return ChannelRefused(str(self._url), reason)


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
            "webhook": turn.request.metadata.get("webhook"),
        },
    }


def _pause(retry_after: str) -> float:
    """The seconds that a receiver asks us to wait, said as such or as a date."""
    if retry_after.isascii() and retry_after.isdecimal():
        return min(float(retry_after), LONGEST_PAUSE)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    wait = until.replace(tzinfo=until.tzinfo or UTC).timestamp() - datetime.now(UTC).timestamp()
    return min(max(wait, 0.0), LONGEST_PAUSE)
