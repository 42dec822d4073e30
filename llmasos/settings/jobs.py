"""Settings of jobs, and of the workers that do them."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from llmasos import cron
from llmasos.request import AUTO, Queue
from llmasos.settings.kinds import Queues, Section, Words


class WorkerSettings(Section):
    """The processes that run agents."""

    processes: int = Field(default=1, ge=0, le=64)
    """How many workers `llmasos up` starts."""
    threads: int = Field(default=8, ge=1, le=256)
    """Jobs that one worker runs at the same time."""
    queues: Queues = tuple(Queue)
    """What it takes jobs from: `interactive`, `batch`."""
    batch_threads: int | None = Field(default=None, ge=1)
    """How many of its threads may run jobs of `batch`. None: half of them, or all of a worker that
    takes no others."""
    lease_seconds: float = Field(default=15.0, gt=0)
    """After how long without a heartbeat another worker takes a job over."""
    max_failures: int = Field(default=3, ge=1)
    """How often a job may fail. Waiting for a backend that is away does not count."""
    max_lost_leases: int = Field(default=10, ge=1)
    """How often a job's worker may vanish."""
    drain_seconds: float = Field(default=10.0, ge=0)
    """How long running jobs may go on after SIGTERM."""

    @property
    def threads_for_batch(self) -> int:
        """How many threads may run jobs of `batch`, the default filled in."""
        most = self.threads if Queue.INTERACTIVE not in self.queues else max(1, self.threads // 2)
        return min(self.batch_threads or most, self.threads)


class ScheduleSettings(Section):
    """`[[schedules]]`: a message that is sent by the clock."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    """What it is called. It asks as `schedule:NAME`."""
    cron: Annotated[str, StringConstraints(max_length=200), AfterValidator(cron.check)]
    """When: minute, hour, day of month, month, day of week, as in `0 9 * * 1-5`."""
    text: Annotated[str, StringConstraints(min_length=1)]
    """The message."""
    agent: str = AUTO
    """Who answers; `auto` lets the router choose."""
    reply_to: Words = ()
    """Where the answer goes: `slack:C0123ABCD`, a URL. Empty: only the job has it."""
    timezone: Annotated[str, AfterValidator(cron.check_zone)] = "UTC"
    """By whose clock, as in `Europe/Berlin`."""


class BudgetSettings(Section):
    """`[jobs.budgets]`: how much may be used in 24 hours. 0: as much as anyone likes."""

    user_jobs: int = Field(default=0, ge=0)
    """Jobs of one person, key or webhook."""
    user_tokens: int = Field(default=0, ge=0)
    """Tokens, read and written, of one person, key or webhook."""
    channel_jobs: int = Field(default=0, ge=0)
    """Jobs that are asked for in one channel."""
    channel_tokens: int = Field(default=0, ge=0)
    """Tokens, read and written, of what is asked in one channel."""


class JobSettings(Section):
    """Limits on requests and jobs."""

    max_text: int = Field(default=20_000, ge=1)
    """Longest message in characters."""
    max_attachments: int = Field(default=10, ge=0)
    """Most files with one message."""
    deadline_seconds: float = Field(default=600.0, gt=0)
    """How long a job may run before it is failed, and how long it waits for a model server. An
    agent of long work runs for its own `limits.seconds`, where they are set and are more."""
    approval_seconds: float = Field(default=24 * 3600.0, gt=0)
    """How long a job waits for a person's approval before it is cancelled."""
    max_parts: int = Field(default=50, ge=1, le=1000)
    """Into how many parts an agent may divide a job at once."""
    max_depth: int = Field(default=3, ge=0, le=10)
    """How deep parts may be divided again."""
    per_user: int = Field(default=0, ge=0)
    """How many jobs of one person, key or webhook run at a time. 0: as many as can."""
    keep_days: float = Field(default=0.0, ge=0)
    """How many days a finished job is kept, with its turn in the conversation, its deliveries and
    all else that belongs to it. 0: for ever."""
    budgets: BudgetSettings = BudgetSettings()
