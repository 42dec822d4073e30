"""Gathering: what a request needs beyond itself is had before its agent begins, and kept.

Its source (`channels.Source`) fills it in; what was said before in its conversation is kept once.
A job that is run again finds all of it in its row. Start reading at `fill`.
"""

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import update

from llmasos.channels import Source
from llmasos.conversations import Conversations
from llmasos.database import Database
from llmasos.tables import jobs
from workers.claims import Claim, fence

DONE = "gathered"
"""The word in a request's metadata that says that it is whole."""


def fill(database: Database, sources: Mapping[str, Source], claim: Claim) -> Claim:
    """A claim with its request whole.

    sources: by the `source` in a request's metadata. Raises LeaseLost when the claim is void.
    """
    request = claim.job.request
    source = sources.get(str(request.metadata.get("source")))
    if source is None or request.metadata.get(DONE):
        return claim
    conversations, conversation = Conversations(database), request.conversation
    begun = conversation is None or conversations.begun(conversation)
    found = source.gather(request, begun)
    metadata = {**found.request.metadata, DONE: True}
    whole = found.request.model_copy(update={"metadata": metadata})
    if conversation is not None:
        conversations.begin(conversation, claim.job.id, found.earlier)
    with database.writing() as connection:
        fence(connection, claim.job.id, claim.attempt)
        row = update(jobs).where(jobs.c.id == claim.job.id)
        connection.execute(row.values(request=whole.model_dump_json()))
    return replace(claim, job=replace(claim.job, request=whole))
