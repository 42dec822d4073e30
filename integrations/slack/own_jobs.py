"""What a person may do with jobs: see, stop and retry their own; an operator everybody's."""

import time

from integrations.slack.desk import Desk
from llmasos.errors import NotAllowed, WrongJobState
from llmasos.jobs import Job, JobStatus

LATEST = 10
"""How many jobs are shown."""
MARKS = {
    JobStatus.QUEUED: "⏳",
    JobStatus.RUNNING: "▶️",
    JobStatus.AWAITING_APPROVAL: "✋",
    JobStatus.SUCCEEDED: "✅",
    JobStatus.FAILED: "⚠️",
    JobStatus.CANCELLED: "⏹️",
}


class OwnJobs:
    """The jobs of one person.

    principal_id: who that is. everybodys: whether they may do as much with those of others.
    """

    def __init__(self, desk: Desk, principal_id: str, everybodys: bool) -> None:
        self._desk, self._me, self._everybodys = desk, principal_id, everybodys

    def latest(self) -> list[Job]:
        """Their own latest jobs, newest first."""
        return self._desk.conversations.of_person(self._me, LATEST)

    def find(self, job_id: str) -> Job:
        """A job. Raises UnknownJob, and NotAllowed for somebody else's."""
        job = self._desk.jobs.find(job_id)
        self._require(job, f"see or change job {job_id}")
        return job

    def cancel(self, job_id: str) -> Job:
        """Stop a job. Raises UnknownJob, NotAllowed or WrongJobState."""
        return self._desk.jobs.cancel(self.find(job_id).id)

    def retry(self, job_id: str) -> Job:
        """Run a failed or cancelled job again. Raises UnknownJob, NotAllowed or WrongJobState."""
        return self._desk.jobs.retry(self.find(job_id).id)

    def stop(self, conversation: str) -> int:
        """Stop what waits or runs in a conversation; gives how many jobs.

        Raises NotAllowed when all of them are somebody else's.
        """
        unfinished = self._desk.conversations.unfinished(conversation)
        own = [job for job in unfinished if self._may_change(job)]
        if unfinished and not own:
            self._require(unfinished[0], "stop this")
        stopped = 0
        for job in own:
            try:
                self._desk.jobs.cancel(job.id)
            except WrongJobState:
                continue  # it has just ended
            stopped += 1
        return stopped

    def _require(self, job: Job, what: str) -> None:
        if not self._may_change(job):
            remedy = "Who asked for it can, and who runs this installation."
            raise NotAllowed("You", what, remedy)

    def _may_change(self, job: Job) -> bool:
        return self._everybodys or job.request.principal.id == self._me


def job_line(job: Job) -> str:
    """A job in a line: its state, its agent, how old it is."""
    minutes = int((time.time() - job.created_at) // 60)
    age = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
    return f"{MARKS[job.status]} {job.status} · {job.agent} · {age} ago"
