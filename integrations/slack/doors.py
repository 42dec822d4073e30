"""The desk of Slack's edge, over what all edges share."""

from integrations.app import Doors
from integrations.slack.desk import Desk
from llmasos.corrections import Corrections


def desk_of(doors: Doors) -> Desk:
    """The desk over the edges' common parts."""
    return Desk(
        jobs=doors.jobs,
        catalog=doors.catalog,
        conversations=doors.conversations,
        corrections=Corrections(doors.database, doors.jobs),
        feedback=doors.feedback,
    )
