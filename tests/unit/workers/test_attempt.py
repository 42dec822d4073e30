"""One attempt at one job: what is shown, committed, brought, tried again and given up."""

import threading
import time
from typing import Any

import pytest

from llmasos.errors import (
    ChannelRefused,
    ChannelUnavailable,
    EngineOverloaded,
    EngineUnavailable,
    GenerationFailed,
    InvalidRequest,
    JobCancelled,
)
from llmasos.events import Failure, Reply, Restarted, Status, Token
from llmasos.jobs import JobStatus
from llmasos.limits import RunLimits


def echo(turn: Any) -> Any:
    yield Reply(text=f"echo {turn.text}")


def test_a_reply_is_stored_and_brought_to_every_address(bench: Any) -> None:
    job = bench.submit(reply_to=("test:a", "test:b"))

    assert bench.runner(echo).work() == 1

    found = bench.jobs.find(job)
    assert found.reply == Reply(text="echo hi")
    assert [each.state for each in found.deliveries] == ["delivered", "delivered"]
    assert sorted(address for address, _, _ in bench.channel.outcomes) == ["test:a", "test:b"]


def test_the_reply_is_committed_before_it_is_brought(bench: Any) -> None:
    seen = []
    bench.channel.before_finish = lambda _: seen.append(bench.jobs.find(job).status)
    job = bench.submit(reply_to=("test:a",))

    bench.runner(echo).work()

    assert seen == [JobStatus.SUCCEEDED]


def test_events_reach_the_bus_and_the_last_is_the_reply(bench: Any) -> None:
    def flow(turn: Any) -> Any:
        yield Status(text="Looking …")
        yield "Hel"
        yield "lo"

    job = bench.submit()
    bench.runner(flow).work()

    events = [each.event for each in bench.bus.read(job)]
    assert events[:3] == [Status(text="Looking …"), Token(text="Hel"), Token(text="lo")]
    assert events[3] == Reply(text="Hello")


def test_nobody_sees_what_was_not_checked(bench: Any) -> None:
    def flow(turn: Any) -> Any:
        yield "the moon is made of cheese"
        yield Reply(text="I do not know.")

    job = bench.submit(reply_to=("test:a",))
    bench.runner(flow, checked=True).work()

    assert [each.event for each in bench.bus.read(job)] == [Reply(text="I do not know.")]
    assert "cheese" not in str(bench.channel.drafts)


def test_people_see_at_once_that_something_is_done(bench: Any) -> None:
    shown = threading.Event()

    def flow(turn: Any) -> Any:
        assert shown.wait(10)
        yield Reply(text="done")

    bench.submit(reply_to=("test:a",))
    work = threading.Thread(target=bench.runner(flow).work)
    work.start()

    draft = bench.until(lambda: bench.channel.drafts)[0][1]
    shown.set()
    work.join()
    assert draft.status


def test_a_conversation_carries_what_was_said(bench: Any) -> None:
    def flow(turn: Any) -> Any:
        yield Reply(text=" | ".join(message.content for message in turn.history) or "first")

    for text in ("one", "two"):
        last = bench.submit(text, conversation="c")
    bench.runner(flow).work()

    assert bench.jobs.find(last).reply.text == "one | first"


def test_a_failure_of_the_world_is_tried_again_later(bench: Any) -> None:
    failures = [EngineUnavailable("http://e", "refused"), EngineUnavailable("http://e", "refused")]

    def flow(turn: Any) -> Any:
        yield "half an ans"
        if failures:
            raise failures.pop()
        yield "wer"

    job = bench.submit(reply_to=("test:a",))
    runner = bench.runner(flow)
    for _ in range(3):
        runner.work()
        bench.hurry()

    found = bench.jobs.find(job)
    assert (found.status, found.attempts) == (JobStatus.SUCCEEDED, 3)
    assert bench.channel.texts() == ["half an answer"]
    assert Restarted() in [each.event for each in bench.bus.read(job)]


def test_a_job_waits_for_a_backend_without_failing(bench: Any) -> None:
    away = [EngineUnavailable("http://e", "refused")] * 5

    def flow(turn: Any) -> Any:
        if away:
            raise away.pop()
        yield "There it is."

    job = bench.submit(reply_to=("test:a",))
    runner = bench.runner(flow, max_failures=1)
    for _ in range(5):
        runner.work()
        assert bench.jobs.find(job).waiting_for.startswith("a backend, until ")
        bench.hurry()
    runner.work()

    assert bench.jobs.find(job).status == JobStatus.SUCCEEDED
    assert bench.channel.texts() == ["There it is."]


def test_a_job_waits_for_a_backend_no_longer_than_its_deadline(bench: Any) -> None:
    def flow(turn: Any) -> Any:
        raise EngineUnavailable("http://e", "refused")
        yield

    job = bench.submit(reply_to=("test:a",))
    runner = bench.runner(flow, deadline=5.0)
    while not bench.jobs.find(job).status.finished:
        runner.work()
        bench.hurry()

    found = bench.jobs.find(job)
    assert (found.status, found.error.type) == (JobStatus.FAILED, "EngineUnavailable")
    assert 3 <= found.attempts <= 4  # after 2 and 4 seconds of waiting, and at the end
    assert bench.channel.texts() == [found.error.message]


def test_a_job_waits_for_as_long_as_the_backend_asks(bench: Any) -> None:
    def flow(turn: Any) -> Any:
        raise EngineOverloaded("http://e", retry_after=40.0)
        yield

    job = bench.submit()
    bench.runner(flow).work()

    with bench.database.reading() as connection:
        row = connection.exec_driver_sql("SELECT failures, waited, due_at FROM jobs").one()
    assert (row.failures, row.waited) == (0, 40.0)
    assert row.due_at > time.time() + 30
    assert bench.jobs.find(job).status == JobStatus.QUEUED


def test_what_fails_too_often_is_given_up_and_people_are_told(bench: Any) -> None:
    def flow(turn: Any) -> Any:
        raise GenerationFailed("It broke off.")
        yield

    job = bench.submit(reply_to=("test:a",))
    runner = bench.runner(flow, max_failures=2)
    for _ in range(3):
        runner.work()
        bench.hurry()

    found = bench.jobs.find(job)
    assert (found.status, found.attempts) == (JobStatus.FAILED, 2)
    assert found.error.type == "RetriesExhausted"
    assert bench.channel.texts() == [found.error.message]
    assert "failed 2 times and was given up" in found.error.message


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (InvalidRequest("Name a file."), "InvalidRequest", "Name a file."),
        (KeyError("secret message"), "AgentBroke", "broke down (KeyError)"),
        (SystemExit(3), "AgentBroke", "broke down (SystemExit)"),
        (RecursionError(), "AgentBroke", "broke down (RecursionError)"),
    ],
)
def test_what_would_fail_again_fails_at_once_and_plainly(
    bench: Any, error: BaseException, kind: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def flow(turn: Any) -> Any:
        raise error
        yield

    job = bench.submit()
    bench.runner(flow).work()

    found = bench.jobs.find(job)
    assert (found.status, found.attempts, found.error.type) == (JobStatus.FAILED, 1, kind)
    assert words in found.error.message
    assert "secret message" not in found.error.message


def test_an_agent_that_says_nothing_fails_plainly(bench: Any) -> None:
    job = bench.submit()

    bench.runner(lambda turn: iter(())).work()

    assert (
        bench.jobs.find(job).error.message == "The agent 'echo' gave no answer: it ended silently."
    )


def test_a_running_job_is_stopped_when_someone_cancels_it(bench: Any) -> None:
    closed = threading.Event()

    def flow(turn: Any) -> Any:
        try:
            while True:
                time.sleep(0.01)
                yield "…"
        finally:
            closed.set()

    job = bench.submit(reply_to=("test:a",))
    work = threading.Thread(target=bench.runner(flow).work)
    work.start()
    bench.until(lambda: bench.channel.drafts)

    bench.jobs.cancel(job)

    assert bench.finished(job).status == JobStatus.CANCELLED
    work.join(10)
    assert closed.is_set()
    bench.until(bench.channel.texts)
    assert bench.channel.texts() == ["This was stopped before it was done."]


def test_a_program_in_the_sandbox_ends_with_its_cancelled_job(bench: Any) -> None:
    ended = []

    def flow(turn: Any) -> Any:
        try:
            turn.sandbox.run({}, ["/bin/sleep", "45"], checkpoint=turn.checkpoint)
        except JobCancelled:
            ended.append(time.monotonic())
            raise
        yield Reply(text="too late")

    job = bench.submit()
    work = threading.Thread(target=bench.runner(flow).work)
    work.start()
    bench.until(lambda: bench.jobs.find(job).status == JobStatus.RUNNING)

    bench.jobs.cancel(job)

    assert bench.finished(job).status == JobStatus.CANCELLED
    work.join(30)
    assert len(ended) == 1


def test_a_job_past_its_deadline_is_failed_without_its_threads_consent(bench: Any) -> None:
    wake = threading.Event()

    def stuck(turn: Any) -> Any:
        wake.wait(30)
        yield Reply(text="too late")

    job = bench.submit(reply_to=("test:a",))
    work = threading.Thread(target=bench.runner(stuck, deadline=0.3).work)
    work.start()

    found = bench.finished(job)
    bench.until(bench.channel.texts)
    wake.set()
    work.join(10)

    assert found.error.type == "DeadlineExceeded"
    assert bench.jobs.find(job).status == JobStatus.FAILED
    assert len(bench.channel.texts()) == 1


def test_an_agent_of_long_work_may_say_how_long_it_takes(bench: Any) -> None:
    def slow(turn: Any) -> Any:
        time.sleep(2.5)  # the deadline is seen at a beat
        yield Reply(text="in time")

    job = bench.submit()
    runner = bench.runner(slow, deadline=0.3, may_take=RunLimits(seconds=60))
    runner.work()

    assert bench.finished(job).reply.text == "in time"


def test_a_long_job_keeps_its_lease(bench: Any) -> None:
    def flow(turn: Any) -> Any:
        time.sleep(1.5)  # much longer than the lease
        yield Reply(text="slow")

    job = bench.submit()
    first, second = bench.runner(flow), bench.runner(echo)
    work = threading.Thread(target=first.work)
    work.start()
    bench.until(lambda: bench.jobs.find(job).status == JobStatus.RUNNING)
    while work.is_alive():
        assert second.work() == 0
        work.join(0.1)

    assert bench.jobs.find(job).reply.text == "slow"
    assert bench.jobs.find(job).attempts == 1


def test_an_address_that_is_away_is_tried_again_without_another_run(bench: Any) -> None:
    runs, away = [], [ChannelUnavailable("test:a", "503")]

    def flow(turn: Any) -> Any:
        runs.append(1)
        yield Reply(text="once")

    def refuse(_: str) -> None:
        if away:
            raise away.pop()

    bench.channel.before_finish = refuse
    job = bench.submit(reply_to=("test:a",))
    runner = bench.runner(flow)
    runner.work()
    assert bench.jobs.find(job).deliveries[0].state == "pending"

    bench.hurry()
    runner.work()

    assert bench.jobs.find(job).deliveries[0].state == "delivered"
    assert (bench.channel.texts(), runs) == (["once"], [1])


@pytest.mark.parametrize(
    ("error", "state"),
    [(ChannelRefused("test:a", "archived"), "refused"), (ValueError("a bug"), "pending")],
)
def test_an_address_that_refuses_does_not_undo_the_reply(
    bench: Any, error: Exception, state: str
) -> None:
    def refuse(_: str) -> None:
        raise error

    bench.channel.before_finish = refuse
    job = bench.submit(reply_to=("test:a",))
    bench.runner(echo).work()

    found = bench.jobs.find(job)
    assert (found.status, found.deliveries[0].state) == (JobStatus.SUCCEEDED, state)


def test_a_job_whose_worker_dies_again_and_again_is_given_up(bench: Any) -> None:
    job = bench.submit(reply_to=("test:a",))
    runner = bench.runner(echo, max_lost_leases=3)
    for _ in range(4):  # the worker vanishes with the claim in its hands
        assert runner.claims.take() is not None
        bench.hurry()

    runner.work()

    found = bench.jobs.find(job)
    assert found.error.type == "RetriesExhausted"
    assert "its worker died" in found.error.message
    assert bench.channel.texts() == [found.error.message]


def test_a_worker_that_drains_gives_its_jobs_back(bench: Any) -> None:
    go_on = threading.Event()

    def flow(turn: Any) -> Any:
        go_on.wait(30)
        yield Reply(text="from the drained one")

    job = bench.submit(reply_to=("test:a",))
    drained = bench.runner(flow)
    work = threading.Thread(target=drained.work)
    work.start()
    bench.until(lambda: bench.jobs.find(job).status == JobStatus.RUNNING)

    drained.drain(0.1)
    bench.runner(echo).work()
    go_on.set()
    work.join(10)

    assert bench.jobs.find(job).reply.text == "echo hi"
    assert bench.channel.texts() == ["echo hi"]


def test_failures_are_events_too(bench: Any) -> None:
    job = bench.submit()

    bench.runner(lambda turn: iter(())).work()

    last = bench.bus.read(job)[-1].event
    assert isinstance(last, Failure)
    assert last == bench.jobs.find(job).error
