"""What Slack's edge needs of the rest of the system: one value, made by the composition root.

Its parts block: the edge calls them on threads, several at a time.
"""

from dataclasses import dataclass

from agents.catalog import Catalog
from integrations.slack.handover import Handover
from llmasos.conversations import Conversations
from llmasos.corrections import Corrections
from llmasos.feedback import Feedback
from llmasos.handoffs import Handoffs
from llmasos.jobs import Jobs


@dataclass(frozen=True)
class Desk:
    """Takes what the edge hands over."""

    jobs: Jobs
    catalog: Catalog
    conversations: Conversations
    corrections: Corrections
    feedback: Feedback
    handoffs: Handoffs
    handover: Handover | None = None
    """How a person is asked; None: nobody is named for that."""
