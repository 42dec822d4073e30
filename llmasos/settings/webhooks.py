"""Settings of webhooks, in and out."""

from typing import Annotated

from pydantic import Field

from llmasos.request import Queue
from llmasos.settings.kinds import Secret, Section, Words


class WebhookSettings(Section):
    """`[[webhooks]]`: a signed address that makes jobs."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    """The last part of its address: `POST /hooks/NAME`."""
    source: str = "generic"
    """Who signs it and how: `generic`, or a plug-in's name."""
    secret: Secret
    """`env:NAME` or the literal secret."""
    agent: str = "auto"
    """The agent that answers."""
    prompt: str = "{{ body.text }}"
    """Jinja template of the message, over `body` and `headers`."""
    when: str | None = None
    """Jinja expression; a delivery for which it is false makes no job."""
    reply_to: Words = ()
    """Where the answer goes: `slack:C0123` or a URL. Empty: read the job."""
    queue: Queue = Queue.INTERACTIVE
    """What its jobs wait in: `interactive`, or `batch` if nobody waits for them."""


class CallbackSettings(Section):
    """Answers that are sent to a URL (`reply_to = ["https://…"]`)."""

    secret: Secret | None = None
    """Signs them the Standard Webhooks way: `whsec_…` or any text. None: answers go to no URL."""
    allow_private: bool = False
    """Whether they may go to private addresses, such as 10.0.0.5 or localhost."""
    timeout: float = Field(default=10.0, gt=0)
    """Seconds that the receiver has to answer."""
