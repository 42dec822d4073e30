"""What a job waits for, on every database: told in words when it is read."""

from collections.abc import Callable

import pytest

from llmasos.database import Database
from llmasos.errors import ChannelUnavailable, EngineOverloaded
from llmasos.events import Approval, Delegate, Part, Reply
from llmasos.generation import Usage
from llmasos.jobs import Jobs
from llmasos.queues import Limits
from llmasos.request import Request
from llmasos.settings import JobSettings, WorkerSettings
from llmasos.tables import leases
from workers.claims import Claim, Claims
from workers.outcomes import Outcomes
from workers.retries import next_try


def ask(**fields: object) -> Request:
    return Request.model_validate({"agent": "echo", "text": "hi", **fields})


@pytest.fixture
def take(database: Database) -> Callable[[], Claim]:
    def taken() -> Claim:
        claim = Claims(database, "worker", 60).take()
        assert claim is not None
        return claim

    return taken


def cause(jobs: Jobs, job_id: str) -> str | None:
    told = jobs.find(job_id).waiting_for
    assert told in [each.as_json()["waiting_for"] for each in jobs.list()]
    return told


def test_a_job_waits_for_a_worker(jobs: Jobs, database: Database) -> None:
    job = jobs.submit(ask()).job
    assert cause(jobs, job.id) == "a worker: none is running"

    with database.writing() as connection:
        connection.execute(leases.insert().values(name="worker:1", holder="1", until=4e9))

    assert cause(jobs, job.id) == "a free worker"


def test_a_job_waits_for_its_conversation(jobs: Jobs) -> None:
    first = jobs.submit(ask(conversation="c")).job
    second = jobs.submit(ask(conversation="c")).job

    assert cause(jobs, second.id) == "another message of this conversation"
    assert cause(jobs, first.id) == "a worker: none is running"


def test_a_job_waits_for_its_share(
    make_jobs: Callable[..., Jobs], take: Callable[[], Claim]
) -> None:
    jobs = make_jobs(shares=Limits(per_user=1))
    of_agent = make_jobs(shares=Limits(per_agent={"echo": 1}))
    jobs.submit(ask())
    second = jobs.submit(ask()).job

    running = take().job

    assert cause(jobs, second.id) == "the limit of 1 jobs of one person at a time"
    assert cause(of_agent, second.id) == "the agent's limit of 1 at a time"
    assert cause(jobs, running.id) is None


def test_a_job_waits_for_a_backend(
    jobs: Jobs, take: Callable[[], Claim], database: Database
) -> None:
    job = jobs.submit(ask()).job
    claim, away = take(), EngineOverloaded("http://e", retry_after=300)

    again = next_try(claim, away, WorkerSettings(), JobSettings())
    Outcomes(database).try_again(claim, Usage(), again)

    assert str(cause(jobs, job.id)).startswith("a backend, until ")


def test_a_job_waits_for_people_and_for_parts(
    jobs: Jobs, take: Callable[[], Claim], database: Database
) -> None:
    asking, divided = (jobs.submit(ask()).job for _ in range(2))
    question = Approval(question="?", to=("asker", "group:leads"))
    parts = Delegate(parts=(Part(text="a"), Part(text="b")))

    Outcomes(database).suspend(take(), "echo", question, Usage(), 60)
    Outcomes(database).delegate(take(), "echo", parts, Usage(), JobSettings())
    Outcomes(database).succeed(take(), "echo", Reply(text="x"), Usage())

    assert cause(jobs, asking.id) == "approval by asker, group:leads"
    assert cause(jobs, divided.id) == "1 of 2 parts"


def test_an_answer_waits_for_its_place(
    jobs: Jobs, take: Callable[[], Claim], database: Database
) -> None:
    job = jobs.submit(ask(reply_to=("test:a",))).job
    claim = take()
    Outcomes(database).succeed(claim, "echo", Reply(text="x"), Usage())
    busy = ChannelUnavailable("test:a", "it asks to wait", retry_after=3600)

    Outcomes(database).undelivered(claim, "test:a", busy)
    Outcomes(database).settle(claim)

    told = str(cause(jobs, job.id))
    assert told.startswith("test:a, until ")
    assert told.endswith("it asks to wait")
