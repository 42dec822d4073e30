"""Slack as a place where people read answers: the `channels.Channel` of the scheme `slack`.

What workers get by the entry point `llmasos.channels`. How a message is written is in `post.py`.
"""

from collections.abc import Callable

from integrations.slack.address import SCHEME, parse
from integrations.slack.calls import Calls, Refused, as_channel_error
from integrations.slack.handover import Handover
from integrations.slack.messages import Messages
from integrations.slack.post import Pace, SlackPost
from integrations.slack.uploads import Uploads
from integrations.slack.workspaces import Workspaces, workspaces_of
from llmasos.channels import Journal, Turnover
from llmasos.database import Database
from llmasos.handoffs import Handoffs
from llmasos.settings import Settings

CallsIn = Callable[[str | None], Calls]
"""Gives the bot's calls in a workspace. Raises Refused when it is not there."""


class SlackChannel:
    """Posts answers in the workspace that an address names. Safe to use from several threads."""

    scheme = SCHEME

    def __init__(self, calls_in: CallsIn, pace: Pace, handover: Handover | None = None) -> None:
        self.calls_in, self._pace, self._handover = calls_in, pace, handover

    def open(self, address: str, turn: Turnover, journal: Journal) -> SlackPost:
        """The post of a job at an address, found again if another worker began it.

        Raises ChannelRefused when the address is not one of Slack's, or of a workspace without the
        bot, and LeaseLost.
        """
        place = parse(address)
        try:
            calls = self.calls_in(place.workspace)
        except Refused as refused:
            raise as_channel_error(refused, address) from refused
        messages = Messages(calls, place, turn, journal, self._pace.settle_seconds)
        uploads = Uploads(messages, journal, self._pace.settle_seconds)
        asked = self._handover if self._handover and self._handover.to(place.workspace) else None
        return SlackPost(messages, uploads, place, turn, self._pace, asked)


def channel(settings: Settings) -> SlackChannel | None:
    """The channel of these settings; None when there is no bot."""
    slack, database = settings.slack, Database(settings.state_url)
    workspaces = workspaces_of(settings, database)
    if workspaces is None:
        return None
    pace = Pace(update_interval=slack.update_interval, stream_seconds=slack.stream_seconds)
    handover = handover_of(settings, workspaces, Handoffs(database))
    return SlackChannel(workspaces.calls, pace, handover)


def handover_of(settings: Settings, workspaces: Workspaces, handoffs: Handoffs) -> Handover | None:
    """How a person is asked; None when the settings name nobody."""
    slack = settings.slack
    named = slack.handoff or any(each.handoff for each in slack.workspaces.values())
    return Handover(workspaces.calls, slack.handoff_in, handoffs) if named else None
