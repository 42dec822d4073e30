"""A worker within the test: real jobs on SQLite, real threads, agents made on the spot."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from llmasos.agent import Agent
from llmasos.bus import MemoryBus
from llmasos.database import Database, migrate
from llmasos.jobs import Job, Jobs
from llmasos.limits import RunLimits
from llmasos.llm import LLM
from llmasos.request import Request
from llmasos.sandbox import Sandbox
from llmasos.settings import JobSettings, WorkerSettings
from llmasos.testing import ListRetriever, RecordingChannel, ScriptedEngine
from llmasos.turn import Turn
from workers.inline import InlineDispatcher
from workers.means import Means
from workers.runner import Runner


class FlowTurns:
    """Gives every job the same agent: the flow that the test wants."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def begin(self, job: Job, memory: Any, journal: Any, checkpoint: Any, usage: Any) -> Turn:
        return Turn(
            agent=self._agent,
            request=job.request,
            llm=LLM(ScriptedEngine()),
            retriever=ListRetriever(()),
            sandbox=Sandbox(),
            journal=journal,
            history=memory.history,
            decisions=memory.decisions,
            delegated=memory.delegated,
            job_id=job.id,
            checkpoint=checkpoint,
        )


@dataclass
class Bench:
    """One worker and what it works on."""

    database: Database
    jobs: Jobs
    bus: MemoryBus = field(default_factory=MemoryBus)
    channel: RecordingChannel = field(default_factory=RecordingChannel)
    runners: list[Runner] = field(default_factory=list)

    def runner(
        self,
        flow: Callable[[Any], Any],
        *,
        checked: bool = False,
        reviewers: tuple[str, ...] = (),
        review_in: tuple[str, ...] = (),
        deadline: float = 60.0,
        may_take: RunLimits | None = None,
        limits: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Runner:
        """A worker whose agent does this."""
        agent = Agent(
            name="echo", flow=flow, checked=checked, reviewers=reviewers, review_in=review_in
        )
        agent = agent.with_changes(limits=may_take or agent.limits)
        wide = JobSettings(**{"deadline_seconds": deadline, **(limits or {})})
        means = Means(
            database=self.database,
            dispatcher=InlineDispatcher(),
            bus=self.bus,
            channels={"test": self.channel},
            turns=FlowTurns(agent),
            settings=WorkerSettings(**{"lease_seconds": 0.6, **settings}),
            limits=wide,
        )
        runner = Runner(means, f"worker-{len(self.runners)}")
        runner.start()
        self.runners.append(runner)
        return runner

    def submit(self, text: str = "hi", **fields: Any) -> str:
        """A job for the agent; gives its id."""
        return self.jobs.submit(Request(agent="echo", text=text, **fields)).job.id

    def until(self, condition: Callable[[], Any], seconds: float = 60.0) -> Any:
        """Wait until something is the case."""
        give_up = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < give_up, "it did not come to be"
            time.sleep(0.01)
        return found

    def finished(self, job_id: str) -> Job:
        """The job, once it is finished."""
        self.until(lambda: self.jobs.find(job_id).status.finished)
        return self.jobs.find(job_id)

    def hurry(self) -> None:
        """Let every waiting job and delivery be due now."""
        with self.database.writing() as connection:
            connection.exec_driver_sql("UPDATE deliveries SET run_after = 0")
            connection.exec_driver_sql("UPDATE jobs SET due_at = 1 WHERE due_at IS NOT NULL")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Database(f"sqlite:///{tmp_path / 'state.db'}") as database:
        migrate(database)
        jobs = Jobs(
            database, InlineDispatcher(), JobSettings(), ["echo"], ["test"], lambda *_: True
        )
        bench = Bench(database, jobs)
        yield bench
        for runner in bench.runners:
            runner.drain(0)
