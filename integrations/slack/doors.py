"""The desk of Slack's edge, over what all edges share."""

from integrations.app import Doors
from integrations.slack.desk import Desk
from integrations.slack.manifest import first_examples


def desk_of(doors: Doors) -> Desk:
    """The desk over the edges' common parts."""
    return Desk(
        submit=doors.jobs.submit,
        takes_part=doors.conversations.known,
        record_feedback=doors.feedback.record,
        agents=tuple(doors.catalog.names()),
        prompts=first_examples(doors.catalog),
    )
