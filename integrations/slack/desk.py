"""What Slack's edge needs of the rest of the system: one value, made by the composition root.

Its parts block: the edge calls them on threads, several at a time.
"""

from dataclasses import dataclass

from agents.catalog import Catalog
from integrations.slack.handover import Handover
from integrations.slack.installations import Installations
from llmasos.bus import EventBus
from llmasos.conversations import Conversations
from llmasos.corrections import Corrections
from llmasos.feedback import Feedback
from llmasos.handoffs import Handoffs
from llmasos.jobs import Jobs
from llmasos.rates import Rates


@dataclass(frozen=True)
class Desk:
    """Takes what the edge hands over."""

    jobs: Jobs
    catalog: Catalog
    conversations: Conversations
    corrections: Corrections
    feedback: Feedback
    handoffs: Handoffs
    rates: Rates
    """What all processes keep Slack's limits by."""
    bus: EventBus
    installations: Installations | None = None
    """The workspaces that have added the app; None: the settings have the only token."""
    handover: Handover | None = None
    """How a person is asked; None: nobody is named for that."""
