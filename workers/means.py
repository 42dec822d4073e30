"""Means: what attempts work with, as `app.py` puts it together for a process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from llmasos.bus import EventBus
from llmasos.channels import Channel, Source
from llmasos.database import Database
from llmasos.generation import Usage
from llmasos.jobs import Dispatcher, Job
from llmasos.settings import JobSettings, WorkerSettings
from llmasos.turn import Memory, ToolJournal, Turn


class Turns(Protocol):
    """Makes the turn for a job: chooses its agent and lays out what that may use."""

    def begin(
        self,
        job: Job,
        memory: Memory,
        journal: ToolJournal,
        checkpoint: Callable[[], None],
        usage: Usage,
    ) -> Turn:
        """The turn. usage: where the tokens of its calls are counted.

        Raises what `agents.catalog` raises, UnknownAgent for one.
        """
        ...


@dataclass(frozen=True)
class Means:
    """What attempts work with; one for a process."""

    database: Database
    dispatcher: Dispatcher
    bus: EventBus
    channels: Mapping[str, Channel]
    turns: Turns
    settings: WorkerSettings
    limits: JobSettings
    sources: Mapping[str, Source] = field(default_factory=dict)
