"""The desk of Slack's edge, over what all edges share."""

from integrations.app import Doors
from integrations.slack.channel import calls_of, handover_of
from integrations.slack.desk import Desk
from llmasos.corrections import Corrections
from llmasos.handoffs import Handoffs


def desk_of(doors: Doors) -> Desk:
    """The desk over the edges' common parts."""
    handoffs, calls = Handoffs(doors.database), calls_of(doors.settings)
    return Desk(
        jobs=doors.jobs,
        catalog=doors.catalog,
        conversations=doors.conversations,
        corrections=Corrections(doors.database, doors.jobs),
        feedback=doors.feedback,
        handoffs=handoffs,
        handover=handover_of(doors.settings, calls, handoffs) if calls else None,
    )
