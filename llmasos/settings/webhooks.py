"""Settings of webhooks, in and out."""

from typing import Annotated

from pydantic import Field

from llmasos.request import Queue
from llmasos.settings.kinds import Secrets, Section, Words


class WebhookSettings(Section):
    """`[[webhooks]]`: a signed address that makes jobs."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    """The last part of its address: `POST /hooks/NAME`."""
    source: str = "generic"
    """Who signs it and how: `generic`, `standard`, `github`, `gitlab`, `alertmanager`, `stripe`,
    `hmac`, `token`, or a plug-in's name."""
    secret: Secrets
    """`env:NAME` or the literal secret; a list while a sender changes from one to another."""
    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$")] | None = None
    """For `hmac` and `token`: the header that has the signature or the token. None: `X-Signature`,
    `Authorization`."""
    id_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$")] = "Idempotency-Key"
    """For `hmac` and `token`: the header that has the sender's own id of a delivery."""
    window: float = Field(default=300.0, gt=0, le=86_400)
    """Seconds that a signature with a timestamp holds, and in which a delivery without an id of its
    own counts as a repeat of one that had the same body."""
    agent: str = "auto"
    """The agent that answers."""
    prompt: str = "{{ event.text }}"
    """Jinja template of the message, over `event`, `body` and `headers`."""
    when: str | None = None
    """Jinja expression over the same; a delivery for which it is false makes no job."""
    tag: str | None = None
    """Jinja template over the same of a text that is sent to URLs with the answer: what it is the
    answer to, in the receiver's own terms."""
    reply_to: Words = ()
    """Where the answer goes: `slack:C0123` or a URL. Empty: read the job."""
    queue: Queue = Queue.INTERACTIVE
    """What its jobs wait in: `interactive`, or `batch` if nobody waits for them."""
    keep_days: float = Field(default=7.0, ge=1, le=366)
    """Days that its deliveries stay in the log."""
    keep_bodies: bool = True
    """Whether the log keeps their bodies, so that they can be delivered again."""


class CallbackSettings(Section):
    """Answers that are sent to a URL (`reply_to = ["https://…"]`)."""

    secret: Secrets | None = None
    """Signs them the Standard Webhooks way: `whsec_…` or any text; a list while you change from one
    to another. None: answers go to no URL."""
    allow_private: bool = False
    """Whether they may go to private addresses, such as 10.0.0.5 or localhost."""
    timeout: float = Field(default=10.0, gt=0)
    """Seconds that the receiver has to answer, from the connection to the last header."""
