"""Slack as a place where people read answers: the `channels.Channel` of the scheme `slack`.

What workers get by the entry point `llmasos.channels`. How a message is written is in `post.py`.
"""

from integrations.slack.address import SCHEME, parse
from integrations.slack.calls import Calls, sync_client
from integrations.slack.handover import Handover
from integrations.slack.limits import limits_of
from integrations.slack.messages import Messages
from integrations.slack.post import Pace, SlackPost
from integrations.slack.uploads import Uploads
from llmasos.channels import Journal, Turnover
from llmasos.database import Database
from llmasos.handoffs import Handoffs
from llmasos.rates import open_rates
from llmasos.settings import Settings
from llmasos.system import addresses


class SlackChannel:
    """Posts answers as one bot. Safe to use from several threads."""

    scheme = SCHEME

    def __init__(self, calls: Calls, pace: Pace, handover: Handover | None = None) -> None:
        self.calls, self._pace, self._handover = calls, pace, handover

    def open(self, address: str, turn: Turnover, journal: Journal) -> SlackPost:
        """The post of a job at an address, found again if another worker began it.

        Raises ChannelRefused when the address is not one of Slack's, and LeaseLost.
        """
        place = parse(address)
        messages = Messages(self.calls, place, turn, journal, self._pace.settle_seconds)
        uploads = Uploads(messages, journal, self._pace.settle_seconds)
        return SlackPost(messages, uploads, place, turn, self._pace, self._handover)


def channel(settings: Settings) -> SlackChannel | None:
    """The channel of these settings; None without a bot token."""
    slack, calls = settings.slack, calls_of(settings)
    if calls is None:
        return None
    pace = Pace(update_interval=slack.update_interval, stream_seconds=slack.stream_seconds)
    if slack.handoff is None:
        return SlackChannel(calls, pace)
    handoffs = Handoffs(Database(settings.state_url))
    return SlackChannel(calls, pace, handover_of(settings, calls, handoffs))


def calls_of(settings: Settings) -> Calls | None:
    """The bot's calls, within the limits that all processes keep; None without a bot token."""
    if settings.slack.bot_token is None:
        return None
    token = settings.slack.bot_token.get_secret_value()
    limits = limits_of(open_rates(addresses(settings).bus_url), token)
    return Calls(sync_client(token, settings.slack.api_url), limits)


def handover_of(settings: Settings, calls: Calls, handoffs: Handoffs) -> Handover | None:
    """How a person is asked; None when the settings name nobody."""
    to = settings.slack.handoff
    return Handover(calls, to, handoffs) if to else None
