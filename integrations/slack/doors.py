"""The desk of Slack's edge, over what all edges share."""

from integrations.app import Doors
from integrations.slack.channel import handover_of
from integrations.slack.desk import Desk
from integrations.slack.installations import installations_of
from integrations.slack.workspaces import Workspaces
from llmasos.corrections import Corrections
from llmasos.handoffs import Handoffs
from llmasos.rates import open_rates
from llmasos.system import addresses


def desk_of(doors: Doors) -> Desk:
    """The desk over the edges' common parts."""
    settings, handoffs = doors.settings, Handoffs(doors.database)
    rates = open_rates(addresses(settings).bus_url)
    installations = installations_of(settings.slack, doors.database)
    workspaces = Workspaces(settings.slack, rates, installations)
    return Desk(
        jobs=doors.jobs,
        catalog=doors.catalog,
        conversations=doors.conversations,
        corrections=Corrections(doors.database, doors.jobs),
        feedback=doors.feedback,
        handoffs=handoffs,
        rates=rates,
        bus=doors.bus,
        installations=installations,
        handover=handover_of(settings, workspaces, handoffs),
    )
