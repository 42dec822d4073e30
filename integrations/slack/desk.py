"""What Slack's edge needs of the rest of the system: one value, made by the composition root."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from llmasos.feedback import Opinion
from llmasos.jobs import Submitted
from llmasos.request import Request


@dataclass(frozen=True)
class Desk:
    """Takes what the edge hands over. Its functions are called on threads, several at a time."""

    submit: Callable[[Request], Submitted]
    """Stores a job; once it returns nothing is lost."""
    takes_part: Callable[[str], bool]
    """Whether there is a conversation with this id."""
    record_feedback: Callable[[str, str, Opinion], None]
    """Keeps what a person thinks of a job's answer: job, principal, opinion."""
    agents: Collection[str] = ()
    """Names of the agents, for `@bot writing: …`."""
    prompts: Sequence[str] = ()
    """Messages to offer to someone who opens the bot's direct messages."""
