"""Webhooks: signed addresses that turn deliveries into requests to agents.

`load_hooks` makes them of the settings and finds every mistake in them at start; `Hook.read`
translates one delivery, which the source (`source.py`) has found genuine. Knows nothing of HTTP
servers or of jobs. Start reading at `Hook.read`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from jinja2 import TemplateSyntaxError

from agents.catalog import Catalog
from integrations.app import channel_schemes
from integrations.webhooks.source import Event, Source
from integrations.webhooks.templates import Condition, Prompt
from llmasos import plugins
from llmasos.errors import InvalidRequest, SettingsError, UsageError, nearest
from llmasos.request import AUTO, Principal, Request
from llmasos.settings import Settings, WebhookSettings

Compiled = TypeVar("Compiled")

ALWAYS_HIDDEN = frozenset(("authorization", "cookie", "proxy-authorization"))
"""Headers that no template and no log sees, beside those that prove the sender."""
DEEPEST = 100
"""Objects and lists within one another that a body may have."""


class UnknownHook(UsageError):
    """There is no webhook with that name."""

    def __init__(self, name: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(name, tuple(known))
        self.name, self.known = name, tuple(known)

    def message(self) -> str:
        """The name, and those there are where the asker may know them."""
        hint = nearest(self.name, self.known) if self.known else ""
        return f"No webhook is named '{self.name[:80]}'.{hint}"


class MalformedBody(UsageError):
    """A body is not what it must be."""


@dataclass(frozen=True)
class Skipped:
    """A genuine delivery that makes no job."""

    reason: str


@dataclass(frozen=True)
class Hook:
    """One webhook."""

    settings: WebhookSettings
    source: Source
    prompt: Prompt
    when: Condition | None
    tag: Prompt | None
    longest: int
    """Characters that a message may have."""

    @property
    def name(self) -> str:
        """The last part of its address."""
        return self.settings.name

    def visible(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers without those that prove who sends. Names in lower case."""
        hidden = ALWAYS_HIDDEN | self.source.proofs
        return {name: text for name, text in headers.items() if name not in hidden}

    def event(self, headers: Mapping[str, str], body: bytes) -> Event:
        """What a genuine delivery tells. headers: what `visible` gives. Raises MalformedBody."""
        return self.source.event(headers, self._parse(body))

    def read(self, headers: Mapping[str, str], body: bytes, key: str) -> Request | Skipped:
        """The request that a genuine delivery makes.

        headers: what `visible` gives; body: the raw bytes; key: what a repeat of it has too.
        Raises MalformedBody when it is not JSON, InvalidRequest when no message can be made of it.
        """
        parsed = self._parse(body)
        event = self.source.event(headers, parsed)
        values = {"event": asdict(event), "body": parsed, "headers": dict(headers)}
        try:
            if self.when and not self.when.holds(values):
                return Skipped(f"`when` is false for this delivery: {self.when.source}")
        except ValueError as error:
            raise self._unusable("its `when`", error) from error
        text = self._rendered("prompt", self.prompt, values)
        tag = self._rendered("tag", self.tag, values) if self.tag else None
        return Request(
            agent=self.settings.agent,
            text=text,
            principal=Principal(id=f"webhook:{self.name}", name=self.name),
            reply_to=self.settings.reply_to,
            queue=self.settings.queue,
            idempotency_key=f"webhook:{self.name}:{key}",
            # Two bodies may make the same message; under one key they are a conflict all the same.
            metadata={
                "digest": hashlib.sha256(body).hexdigest(),
                "webhook": {"name": self.name, "id": key, "event": event.kind, "tag": tag},
            },
        )

    def _rendered(self, field: str, template: Prompt, values: Mapping[str, Any]) -> str:
        try:
            return template.render(values, self.longest)
        except ValueError as error:
            raise self._unusable(f"its `{field}`", error) from error

    def _parse(self, body: bytes) -> Any:
        try:
            parsed = json.loads(body.decode(), parse_constant=_refuse_constant)
            reason = "it is nested too deeply" if _deeper_than(DEEPEST, parsed) else ""
        except RecursionError:
            reason = "it is nested too deeply"
        except ValueError as error:
            form = body.startswith(b"payload=")  # what GitHub sends unless told otherwise
            reason = "it is a form; choose application/json at the sender" if form else str(error)
        if reason:
            raise MalformedBody(
                f"Webhook '{self.name}': the body must be JSON in UTF-8, but: {reason[:200]}"
            )
        return parsed

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
            settings=each,
            source=sources[each.source](each),
            prompt=_compiled(each, "prompt", Prompt, each.prompt),
            when=_compiled(each, "when", Condition, each.when) if each.when else None,
            tag=_compiled(each, "tag", Prompt, each.tag) if each.tag else None,
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


def _refuse_constant(word: str) -> None:
    raise ValueError(f"JSON has no {word}")


def _deeper_than(limit: int, value: Any) -> bool:
    """Whether JSON has more levels than that; level by level, so that no depth is too deep."""
    level = [value]
    for _ in range(limit):
        inner = [each.values() if isinstance(each, dict) else each
                 for each in level if isinstance(each, dict | list)]  # fmt: skip
        if not inner:
            return False
        level = [each for members in inner for each in members]
    return True
