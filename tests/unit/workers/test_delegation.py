"""A job that hands parts to other agents: they run once, it waits without a thread, and goes on."""

import threading
from typing import Any

import pytest

from llmasos.events import Delegate, Part, Reply
from llmasos.jobs import JobStatus
from llmasos.request import Principal, Queue
from workers.claims import Claims
from workers.inline import run_pending

ASKER = Principal(id="slack:T:U1")


def divide(turn: Any) -> Any:
    """Sends each word to the agent itself, and joins what comes back."""
    word, _, rest = turn.text.partition(" ")
    if word != "all":
        if word == "bad":
            raise ValueError("no")
        yield Reply(text=word.upper())
        return
    done = turn.children()
    if done is None:
        yield Delegate(parts=[Part(agent="echo", text=each) for each in rest.split()])
    yield Reply(text=" ".join(c.reply.text if c.reply else c.error.type for c in done))


def test_a_job_goes_on_when_its_parts_are_finished(bench: Any) -> None:
    job = bench.submit("all a b c", principal=ASKER, queue=Queue.BATCH, reply_to=("test:a",))
    runner = bench.runner(divide)

    runner.work(Queue.BATCH)

    found = bench.jobs.find(job)
    assert (found.reply.text, found.attempts) == ("A B C", 2)
    below = [each for each in bench.jobs.list() if each.parent == job]
    assert {each.request.principal.id for each in below} == {"slack:T:U1"}
    assert {each.request.queue for each in below} == {Queue.BATCH}
    assert bench.channel.texts() == ["A B C"]


def test_a_part_that_fails_is_told_to_the_agent(bench: Any) -> None:
    job = bench.submit("all a bad c")

    bench.runner(divide).work()

    assert bench.jobs.find(job).reply.text == "A AgentBroke C"


def test_the_waiting_job_has_no_worker_and_cannot_be_taken(bench: Any) -> None:
    job = bench.submit("all a b")
    runner = bench.runner(divide)
    runner.run(runner.claims.take())

    others = Claims(bench.database, "other", 15)
    taken = [others.take(), others.take()]

    assert runner.running == 0
    assert job not in [claim.job.id for claim in taken]
    assert others.take() is None
    assert bench.jobs.find(job).status is JobStatus.RUNNING


def test_a_worker_that_dies_with_a_part_makes_no_second_one(bench: Any) -> None:
    job = bench.submit("all a b")
    runner = bench.runner(divide)
    runner.run(runner.claims.take())
    assert runner.claims.take() is not None  # a part, whose worker is gone
    bench.hurry()

    runner.work()

    assert bench.jobs.find(job).reply.text == "A B"
    assert len(bench.jobs.list()) == 3


def test_who_cancels_a_job_cancels_its_parts(bench: Any) -> None:
    job = bench.submit("all a b", reply_to=("test:a",))
    runner = bench.runner(divide)
    runner.run(runner.claims.take())

    bench.jobs.cancel(job)
    runner.work()

    assert {each.status for each in bench.jobs.list()} == {JobStatus.CANCELLED}
    assert bench.channel.texts() == ["This was stopped before it was done."]


def test_who_cancels_a_part_does_not_hold_up_the_job(bench: Any) -> None:
    job = bench.submit("all a b")
    runner = bench.runner(divide)
    runner.run(runner.claims.take())
    part = next(each for each in bench.jobs.list() if each.request.text == "a")

    bench.jobs.cancel(part.id)
    runner.work()

    assert bench.jobs.find(job).reply.text == "JobCancelled B"


def test_a_job_is_run_again_with_new_parts_if_some_had_failed(bench: Any) -> None:
    broken = threading.Event()

    def flow(turn: Any) -> Any:
        if turn.text == "part":
            broken.is_set() or (_ for _ in ()).throw(ValueError())
            yield Reply(text="fine")
            return
        if turn.children() is None:
            yield Delegate(parts=[Part(agent="echo", text="part")])
        (child,) = turn.children()
        if child.error:
            raise ValueError(child.error.message)
        yield child.reply

    job = bench.submit("go")
    runner = bench.runner(flow)
    runner.work()
    assert bench.jobs.find(job).status is JobStatus.FAILED

    broken.set()
    bench.jobs.retry(job)
    runner.work()

    assert bench.jobs.find(job).reply.text == "fine"


@pytest.mark.parametrize("limits", [{"max_parts": 1}, {"max_depth": 0}])
def test_there_are_not_too_many_parts(bench: Any, limits: dict[str, int]) -> None:
    job = bench.submit("all a b")

    bench.runner(divide, limits=limits).work()

    found = bench.jobs.find(job)
    assert found.error.type == "InvalidRequest"
    assert f"jobs.{next(iter(limits))}" in found.error.message
    assert len(bench.jobs.list()) == 1


def test_parts_are_not_waited_for_twice(bench: Any) -> None:
    def flow(turn: Any) -> Any:
        if turn.text == "x":
            yield Reply(text="x")
        yield Delegate(parts=[Part(agent="echo", text="x")])

    job = bench.submit("go")
    bench.runner(flow).work()

    assert "waited for 'parts' again" in bench.jobs.find(job).error.message


def test_a_job_that_is_cancelled_while_it_divides_does_not_wait(bench: Any) -> None:
    def flow(turn: Any) -> Any:
        bench.jobs.cancel(turn.job_id)
        yield Delegate(parts=[Part(agent="echo", text="x")])

    job = bench.submit("go")
    bench.runner(flow).work()

    assert bench.finished(job).status is JobStatus.CANCELLED
    assert len(bench.jobs.list()) == 1


def test_where_no_system_runs_the_parts_run_on_the_spot(bench: Any) -> None:
    bench.submit("somebody else's")

    done = run_pending(bench.runner(divide), bench.jobs, bench.submit("all a b"))

    assert done.reply.text == "A B"
    assert JobStatus.QUEUED in [each.status for each in bench.jobs.list()]
