"""A worker's share: jobs that have time leave room for those that somebody waits for."""

import threading
from typing import Any

import pytest

from llmasos.events import Reply
from llmasos.jobs import JobStatus
from llmasos.request import Queue


def test_jobs_that_have_time_leave_threads_to_those_that_have_not(bench: Any) -> None:
    go_on = threading.Event()

    def flow(turn: Any) -> Any:
        if turn.text == "long":
            go_on.wait(20)
        yield Reply(text="done")

    runner = bench.runner(flow, threads=2)
    long = [bench.submit("long", queue=Queue.BATCH) for _ in range(2)]
    first = threading.Thread(target=runner.work, args=(Queue.BATCH,))
    first.start()
    bench.until(lambda: bench.jobs.find(long[0]).status == JobStatus.RUNNING)

    assert runner.work(Queue.BATCH) == 0
    short = bench.submit("short")
    assert runner.work() == 1
    assert bench.jobs.find(short).reply.text == "done"

    go_on.set()
    first.join(20)
    assert bench.finished(long[1]).reply.text == "done"


def test_what_is_urgent_goes_before_what_has_time(bench: Any) -> None:
    order = []

    def flow(turn: Any) -> Any:
        order.append(turn.text)
        yield Reply(text="done")

    bench.submit("has time", queue=Queue.BATCH)
    bench.submit("urgent")

    assert bench.runner(flow).work(Queue.BATCH) == 2
    assert order == ["urgent", "has time"]


def test_a_worker_takes_only_from_its_queues(bench: Any) -> None:
    bench.submit("urgent")
    has_time = bench.submit("has time", queue=Queue.BATCH)
    runner = bench.runner(lambda turn: iter([Reply(text="done")]), queues=[Queue.BATCH])

    assert runner.work(Queue.BATCH) == 1
    assert bench.jobs.find(has_time).status == JobStatus.SUCCEEDED


def test_a_wake_up_for_another_installations_job_is_told_of_once_in_a_while(
    bench: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = bench.runner(lambda turn: iter(()))
    own = bench.submit()
    runner.work()
    runner.woken(own, Queue.INTERACTIVE)
    quiet = capsys.readouterr().out
    other = bench.runner(lambda turn: iter(()))

    for _ in range(3):
        other.woken("of-another", Queue.INTERACTIVE)

    assert "broker.shared" not in quiet
    assert capsys.readouterr().out.count("broker.shared") == 1
