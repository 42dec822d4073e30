"""The agent that mirrors the sources of a collection again; the message is the collection's name.

For those who may write to collections: by `llmasos knowledge sync NAME --job`, over HTTP, or by a
schedule. It reads only what the collection mirrors already: nobody can name a source to it. What
was committed before it ends, however that is, stays; the next run goes on behind it.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait

from llmasos.agent import Agent, Emitted
from llmasos.errors import InvalidRequest, KnowledgeError
from llmasos.events import Reply
from llmasos.keys import Scope
from llmasos.limits import RunLimits
from llmasos.request import Principal, Queue, Request
from llmasos.turn import Turn
from llmasos.upkeep import Progress, Report

NAME = "knowledge_sync"
PACE = 1.0
"""Seconds between two words on how far it is."""
TOLD = 20
"""Most documents that could not be read that the reply names."""
DAY = 24 * 3600.0


class _Watch:
    """Sees how far the work is, and ends it when the job must stop."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self.latest: Progress | None = None
        self.left = False
        """Whether nobody waits for it any longer."""

    def __call__(self, progress: Progress) -> None:
        """Hear how far it is, between two files. Raises what ends the work."""
        self._turn.checkpoint()
        if self.left:
            raise KnowledgeError("Nobody waits for it any longer.")
        self.latest = progress


def mirror(turn: Turn) -> Iterator[Emitted]:
    """Mirror the sources of the collection that the message names."""
    if turn.upkeep is None:
        raise InvalidRequest("No collection can be kept up here.")
    watch = _Watch(turn)
    with ThreadPoolExecutor(1, thread_name_prefix="knowledge-sync") as thread:
        work = thread.submit(turn.upkeep.sync_again, turn.text.strip(), turn.principal, watch)
        said = None
        try:
            while not wait([work], PACE).done:
                turn.checkpoint()
                if watch.latest not in (None, said):
                    said = watch.latest
                    yield turn.status(f"{said.done} of {said.total}: {said.source}")
        finally:
            watch.left = True
    report = work.result()
    if report.only_failed:
        raise KnowledgeError(_told(report))
    left_out = [each.model_dump() for each in report.failed[:TOLD]]
    yield Reply(text=_told(report), output={**report.counts, "left_out": left_out})


def request_to(collection: str, principal: Principal, key: str | None = None) -> Request:
    """The message that has a collection mirrored, after those before it. key: for idempotency."""
    return Request(
        agent=NAME,
        text=collection,
        principal=principal,
        conversation=f"{NAME}:{collection}",
        queue=Queue.BATCH,
        idempotency_key=key,
    )


def _told(report: Report) -> str:
    """What was done, and what could not be read."""
    lines = [f"not added: {each.source}: {each.reason}" for each in report.failed[:TOLD]]
    more = len(report.failed) - len(lines)
    return "\n".join([report.summary, *lines, *([f"and {more} more"] if more else [])])


knowledge_sync = Agent(
    name=NAME,
    description="Mirrors the sources of a collection again; the message is the collection's name.",
    users=(f"scope:{Scope.KNOWLEDGE_WRITE}",),
    routed=False,
    limits=RunLimits(seconds=DAY),
    flow=mirror,
)
