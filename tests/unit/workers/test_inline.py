"""Running a job on the spot: its conversation's earlier ones first, retries waited for."""

from typing import Any

from llmasos.errors import EngineUnavailable
from llmasos.events import Reply
from llmasos.jobs import JobStatus
from workers.inline import run_pending


def echo(turn: Any) -> Any:
    yield Reply(text=f"{len(turn.history)} {turn.text}")


def test_a_job_is_run_on_this_thread(bench: Any) -> None:
    job = bench.submit(reply_to=("test:a",))

    done = run_pending(bench.runner(echo), bench.jobs, job)

    assert done.reply == Reply(text="0 hi")
    assert bench.channel.texts() == ["0 hi"]


def test_what_the_conversation_has_before_it_goes_first_and_nothing_else(bench: Any) -> None:
    bench.submit("earlier", conversation="c")
    wanted = bench.submit("wanted", conversation="c")
    other = bench.submit("other")

    done = run_pending(bench.runner(echo), bench.jobs, wanted)

    assert done.reply == Reply(text="2 wanted")
    assert bench.jobs.find(other).status == JobStatus.QUEUED


def test_a_retry_is_waited_for(bench: Any) -> None:
    failures = [EngineUnavailable("http://e", "starting")]

    def flow(turn: Any) -> Any:
        if failures:
            raise failures.pop()
        yield Reply(text="then it worked")

    done = run_pending(bench.runner(flow), bench.jobs, bench.submit())

    assert (done.status, done.attempts) == (JobStatus.SUCCEEDED, 2)


def test_whoever_gives_up_is_let_go(bench: Any) -> None:
    blocked = bench.submit()
    assert bench.runner(echo, lease_seconds=60).claims.take() is not None  # another has it

    job = run_pending(bench.runner(echo), bench.jobs, blocked, give_up=lambda: True)

    assert job.status == JobStatus.RUNNING
