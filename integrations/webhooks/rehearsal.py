"""The rehearsal: what a webhook would do with a delivery, step by step, without doing it.

Behind `llmasos webhooks test`. It stores nothing and asks no agent.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from integrations.webhooks.hooks import Hook, Skipped
from llmasos.errors import UsageError
from llmasos.request import Request

Step = bool | None
"""True: passed; False: failed; None: not tried."""


@dataclass(frozen=True)
class Rehearsal:
    """What would become of a delivery."""

    webhook: str
    genuine: Step
    """None: no header that proves a sender was given."""
    sender_id: str | None
    """By what a repeat would be known; None: by its body."""
    event: dict[str, str] | None
    passes_filter: Step
    agent: str
    prompt: str | None
    reply_to: tuple[str, ...]
    tag: str | None
    """What a receiver at a URL gets to know it by."""
    reason: str | None
    """Why no job would be made."""

    @property
    def accepted(self) -> bool:
        """Whether a job would be made, if it is genuine."""
        return self.genuine is not False and self.prompt is not None

    def as_json(self) -> dict[str, Any]:
        """It as the command line prints it."""
        return {"accepted": self.accepted, **asdict(self)}


def rehearse(hook: Hook, headers: Mapping[str, str], body: bytes, now: float) -> Rehearsal:
    """Go through all steps. headers: names in lower case; now: seconds since the epoch."""
    genuine, sender_id, reason = _proof(hook, headers, body, now)
    seen = hook.visible(headers)
    event, passes, prompt, tag = None, None, None, None
    try:
        event = asdict(hook.event(seen, body))
        read = hook.read(seen, body, "rehearsal")
    except UsageError as error:
        reason = reason or str(error)
    else:
        passes = isinstance(read, Request)
        if isinstance(read, Skipped):
            reason = reason or read.reason
        elif not read.text:
            reason = reason or "The message is empty."
        else:
            prompt, tag = read.text, read.metadata["webhook"]["tag"]
    return Rehearsal(
        webhook=hook.name,
        genuine=genuine,
        sender_id=sender_id,
        event=event,
        passes_filter=passes,
        agent=hook.settings.agent,
        prompt=prompt,
        reply_to=hook.settings.reply_to,
        tag=tag,
        reason=reason,
    )


def _proof(
    hook: Hook, headers: Mapping[str, str], body: bytes, now: float
) -> tuple[Step, str | None, str | None]:
    """Whether it is genuine, the sender's own id, and why it is refused."""
    if not hook.source.proofs & headers.keys():
        return None, None, None
    try:
        return True, hook.source.verify(headers, body, now).id, None
    except UsageError as error:
        return False, None, str(error)
