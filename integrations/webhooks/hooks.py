"""Webhooks: signed addresses that turn deliveries into requests to agents.

`load_hooks` makes them of the settings and finds every mistake in them at start; `Hook.read`
translates one delivery. Whether it is genuine is the source's to say (`source.py`). Knows nothing
of HTTP servers or of jobs. Start reading at `Hook.read`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from jinja2 import TemplateSyntaxError

from agents.catalog import Catalog
from integrations.app import channel_schemes
from integrations.webhooks.source import Source
from integrations.webhooks.templates import Condition, Prompt
from llmasos import plugins
from llmasos.errors import InvalidRequest, SettingsError, UsageError, nearest
from llmasos.request import AUTO, Principal, Queue, Request
from llmasos.settings import Settings, WebhookSettings

Compiled = TypeVar("Compiled")

NOT_FOR_TEMPLATES = frozenset(("authorization", "cookie", "x-llmasos-signature"))
"""Headers that a template does not see: a prompt must not hold what proves the sender."""


class UnknownHook(UsageError):
    """There is no webhook with that name."""


class MalformedBody(UsageError):
    """A genuine delivery's body is not what it must be."""


@dataclass(frozen=True)
class Skipped:
    """A genuine delivery that makes no job."""

    reason: str


@dataclass(frozen=True)
class Hook:
    """One webhook."""

    name: str
    source: Source
    secret: bytes
    agent: str
    prompt: Prompt
    when: Condition | None
    reply_to: tuple[str, ...]
    queue: Queue
    longest: int
    """Characters that a message may have."""

    def read(self, headers: Mapping[str, str], body: bytes, now: float) -> Request | Skipped:
        """The request that a delivery makes.

        headers: names in lower case; body: the raw bytes; now: seconds since the epoch.
        Raises Refused for a delivery that is not genuine, MalformedBody when it is not JSON,
        InvalidRequest when no message can be made of it.
        """
        key = self.source.verify(headers, body, self.secret, now)
        seen = {name: text for name, text in headers.items() if name not in NOT_FOR_TEMPLATES}
        values = {"body": self._parse(body), "headers": seen}
        try:
            if self.when and not self.when.holds(values):
                return Skipped(f"`when` is false for this delivery: {self.when.source}")
        except ValueError as error:
            raise self._unusable("its `when`", error) from error
        try:
            text = self.prompt.render(values, self.longest)
        except ValueError as error:
            raise self._unusable("its `prompt`", error) from error
        return Request(
            agent=self.agent,
            text=text,
            principal=Principal(id=f"webhook:{self.name}", name=self.name),
            reply_to=self.reply_to,
            queue=self.queue,
            idempotency_key=f"webhook:{self.name}:{key}",
            # Two bodies may make the same message; under one key they are a conflict all the same.
            metadata={"digest": hashlib.sha256(body).hexdigest()},
        )

    def _parse(self, body: bytes) -> Any:
        try:
            return json.loads(body.decode())
        except (ValueError, RecursionError) as error:
            reason = "is nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise MalformedBody(
                f"Webhook '{self.name}': the body must be JSON in UTF-8, but: {reason[:200]}"
            ) from error

    def _unusable(self, what: str, error: ValueError) -> InvalidRequest:
        return InvalidRequest(
            f"Webhook '{self.name}': {what} cannot be used with this delivery: {error}"
        )


def load_hooks(settings: Settings, catalog: Catalog) -> dict[str, Hook]:
    """The webhooks of the settings, by name.

    Raises SettingsError for the first mistake in them, naming the webhook.
    """
    if not settings.webhooks:
        return {}
    sources = dict(plugins.load("llmasos.webhooks"))
    agents, schemes = tuple(catalog.names()), channel_schemes(settings)
    hooks: dict[str, Hook] = {}
    for each in settings.webhooks:
        if each.name in hooks:
            raise _wrong(each, "name", each.name, "is taken by another webhook")
        _check_places(each, agents, schemes)
        if each.source not in sources:
            raise _wrong(
                each, "source", each.source, f"is unknown.{nearest(each.source, tuple(sources))}"
            )
        hooks[each.name] = Hook(
            name=each.name,
            source=sources[each.source](),
            secret=each.secret.get_secret_value().encode(),
            agent=each.agent,
            prompt=_compiled(each, "prompt", Prompt, each.prompt),
            when=_compiled(each, "when", Condition, each.when) if each.when else None,
            reply_to=each.reply_to,
            queue=each.queue,
            longest=settings.jobs.max_text,
        )
    return hooks


def _check_places(hook: WebhookSettings, agents: tuple[str, ...], schemes: tuple[str, ...]) -> None:
    """Check who answers, and where the answer goes."""
    if hook.agent not in (AUTO, *agents):
        reason = f"there is no such agent.{nearest(hook.agent, agents)}"
        raise _wrong(hook, "agent", hook.agent, reason)
    for address in hook.reply_to:
        scheme, _, place = address.partition(":")
        if scheme not in schemes or not place:
            reason = (
                "must be SCHEME:PLACE, and its channel must be set up here (Slack by [slack] "
                f"bot_token, URLs by [callbacks] secret).{nearest(scheme, schemes)}"
            )
            raise _wrong(hook, "reply_to", address, reason)


def _compiled(
    hook: WebhookSettings, field: str, kind: Callable[[str], Compiled], text: str
) -> Compiled:
    try:
        return kind(text)
    except TemplateSyntaxError as error:
        raise _wrong(hook, field, text, f"is not a valid template: {error.message}") from error


def _wrong(hook: WebhookSettings, field: str, value: str, reason: str) -> SettingsError:
    return SettingsError(f"webhooks.{hook.name}.{field}", repr(value), reason)
