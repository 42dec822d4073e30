"""Following a job: its events as they come, and its outcome in the end, whatever the bus lost.

The bus makes it lively, the database makes it right: the last event is always the outcome that is
stored. Used by server-sent events, `?wait=` and the command line. Start reading at `follow`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from llmasos.bus import BusEvent, EventBus
from llmasos.errors import InvalidRequest
from llmasos.events import Event, Failure, Reply, Restarted, Status
from llmasos.jobs import Job, Jobs

END = "end"
"""The place of the last event: there is nothing after it."""
_PLACE = re.compile(r"[0-9]{1,9}\.[0-9]{1,19}(-[0-9]{1,19})?")


@dataclass(frozen=True)
class Followed:
    """An event, and where it stands."""

    place: str
    """Hand it back as `after` to go on from here."""
    event: Event
    job: Job | None = None
    """With the last event: the finished job."""


def follow(
    jobs: Jobs, bus: EventBus, job_id: str, after: str = "", tick: float = 0.5
) -> Iterator[Followed | None]:
    """The events of a job; the last one is its stored reply or failure.

    after: the place of an event that was read before. tick: after as many seconds without an event
    comes a None, so that the reader may look around. What the job waits for comes as a status. What
    an attempt said counts no more once a `Restarted` comes.
    Raises UnknownJob, and InvalidRequest for an `after` that is no place.
    """
    reader = _Reader(bus, job_id, after)
    job, said = jobs.find(job_id), None
    while not job.status.finished:
        yield from reader.read(tick)
        if reader.quiet or reader.saw_outcome:
            yield None
            job = jobs.find(job_id)
            if reader.quiet and job.waiting_for not in (None, said):
                said = job.waiting_for
                yield Followed(reader.place, Status(text=f"Waiting for {said} …"))
    reader.quiet = False
    while not reader.quiet:
        yield from reader.read(0)
    yield Followed(END, outcome(job), job)


def check_place(after: str) -> None:
    """Raises InvalidRequest for what is no place in a job's events."""
    if after and not _PLACE.fullmatch(after):
        raise InvalidRequest(f"'{after[:60]}' is no place in a job's events.")


def outcome(job: Job) -> Reply | Failure:
    """What came of a finished job."""
    if job.reply is not None:
        return job.reply
    return job.error or Failure(type="JobError", message=f"Job {job.id} was {job.status}.")


class _Reader:
    """Reads a job's stream and leaves out what another attempt made void."""

    def __init__(self, bus: EventBus, job_id: str, after: str) -> None:
        self._bus, self._job_id = bus, job_id
        self._attempt, self._place = _parsed(after)
        self.quiet = self.saw_outcome = False

    @property
    def place(self) -> str:
        """Where it has come to."""
        return f"{self._attempt}.{self._place}"

    def read(self, wait: float) -> Iterator[Followed]:
        """The events there are; waits for the first of them."""
        batch = self._bus.read(self._job_id, after=self._place, wait=wait)
        self.quiet, self.saw_outcome = not batch, False
        for item in batch:
            before, self._place = self._place, item.id
            yield from self._sift(item, before)

    def _sift(self, item: BusEvent, before: str) -> Iterator[Followed]:
        if item.attempt < self._attempt:
            return  # a worker that does not yet know that it has lost the job
        restarted = isinstance(item.event, Restarted)
        if item.attempt > self._attempt:
            if self._attempt and not restarted:
                yield Followed(f"{item.attempt}.{before}", Restarted())
            self._attempt = item.attempt
        if isinstance(item.event, Reply | Failure):
            self.saw_outcome = True  # a hint: only what is stored counts
        else:
            yield Followed(f"{item.attempt}.{item.id}", item.event)


def _parsed(after: str) -> tuple[int, str]:
    """The attempt and the bus's own place."""
    check_place(after)
    attempt, _, place = (after or "0.0").partition(".")
    return int(attempt), place
