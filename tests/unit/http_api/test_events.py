"""A job's events over HTTP: lively when the bus is there, right in any case."""

import json
import threading
import time
from typing import Any

import httpx
import pytest

from llmasos.events import Failure, Reply, Restarted, Status, Token
from llmasos.generation import Usage
from llmasos.jobs import Job


def parsed(text: str) -> list[tuple[str, str, dict[str, Any]]]:
    """(id, name, data) of each event; comments are left out."""
    events = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            fields = dict(line.split(": ", 1) for line in lines)
            events.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return events


def names(text: str) -> list[str]:
    return [name for _, name, _ in parsed(text)]


def read(desk: Any, job_id: str, after: str | None = None) -> str:
    headers = {} if after is None else {"last-event-id": after}
    answer = desk.http.get(f"/v1/jobs/{job_id}/events", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    return answer.text


def answered(desk: Any) -> Job:
    """A job that said three things and was answered."""
    desk.ask("Hello")
    claim = desk.take()
    for event in (Status(text="Looking …"), Token(text="Hel"), Token(text="lo\n\ndata: x")):
        desk.doors.bus.publish(claim.job.id, claim.attempt, event)
    desk.succeed(claim, Reply(text="Hello\n\ndata: x"))
    return claim.job


def test_the_events_come_in_order_and_end_with_the_reply(desk: Any) -> None:
    job = answered(desk)

    events = parsed(read(desk, job.id))

    assert [name for _, name, _ in events] == ["status", "token", "token", "reply"]
    assert (
        "".join(data["text"] for _, name, data in events if name == "token")
        == (events[-1][2]["text"])
    )
    assert events[-1][2]["citations"] == []


def test_a_reader_goes_on_after_the_event_that_it_has(desk: Any) -> None:
    job = answered(desk)
    second = parsed(read(desk, job.id))[1][0]

    assert names(read(desk, job.id, after=second)) == ["token", "reply"]


def test_a_reader_that_has_the_end_is_told_not_to_come_again(desk: Any) -> None:
    job = answered(desk)
    end = parsed(read(desk, job.id))[-1][0]

    answer = desk.http.get(f"/v1/jobs/{job.id}/events", headers={"last-event-id": end})

    assert (answer.status_code, answer.text) == (204, "")


def test_the_reply_comes_from_the_database_when_the_bus_lost_everything(desk: Any) -> None:
    job = desk.ask().json()
    desk.outcomes.succeed(desk.take(), "echo", Reply(text="Kept."), Usage())

    events = parsed(read(desk, job["id"]))

    assert [(name, data["text"]) for _, name, data in events] == [("reply", "Kept.")]


def test_the_reply_comes_when_the_bus_falls_silent_in_the_middle(desk: Any) -> None:
    job = desk.ask().json()
    claim = desk.take()
    desk.doors.bus.publish(job["id"], claim.attempt, Token(text="Ke"))
    late = threading.Timer(
        0.7, lambda: desk.outcomes.succeed(claim, "echo", Reply(text="Kept."), Usage())
    )
    late.start()

    events = names(read(desk, job["id"]))
    late.join()

    assert events == ["token", "reply"]


def test_another_attempt_makes_void_what_came_before(desk: Any) -> None:
    job = desk.ask().json()
    first = desk.take()
    desk.doors.bus.publish(job["id"], first.attempt, Token(text="Hel"))
    desk.claims.give_back(first)
    second = desk.take()
    desk.doors.bus.publish(job["id"], second.attempt, Restarted())
    desk.doors.bus.publish(job["id"], first.attempt, Token(text="lo"))  # it does not know yet
    desk.doors.bus.publish(job["id"], second.attempt, Token(text="Hello"))
    desk.succeed(second, Reply(text="Hello"))

    events = parsed(read(desk, job["id"]))

    assert [name for _, name, _ in events] == ["token", "restarted", "token", "reply"]
    assert events[2][2]["text"] == "Hello"


def test_a_lost_restart_is_told_all_the_same(desk: Any) -> None:
    job = desk.ask().json()
    first = desk.take()
    desk.doors.bus.publish(job["id"], first.attempt, Token(text="Hel"))
    desk.claims.give_back(first)
    second = desk.take()
    desk.doors.bus.publish(job["id"], second.attempt, Token(text="Hello"))
    desk.succeed(second, Reply(text="Hello"))

    whole = parsed(read(desk, job["id"]))
    rest = parsed(read(desk, job["id"], after=whole[0][0]))
    after_restart = parsed(read(desk, job["id"], after=whole[1][0]))

    assert [name for _, name, _ in whole] == ["token", "restarted", "token", "reply"]
    assert rest == whole[1:]
    assert after_restart == whole[2:]


def test_an_outcome_that_was_only_said_and_not_stored_is_not_the_end(desk: Any) -> None:
    job = desk.ask().json()
    claim = desk.take()
    desk.doors.bus.publish(job["id"], claim.attempt, Reply(text="Said too early."))
    late = threading.Timer(0.3, lambda: desk.succeed(claim, Reply(text="Stored.")))
    late.start()

    events = parsed(read(desk, job["id"]))
    late.join()

    assert [(name, data["text"]) for _, name, data in events] == [("reply", "Stored.")]


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_a_job_without_a_reply_ends_with_a_failure(desk: Any, how: str) -> None:
    job = desk.ask().json()["id"]
    if how == "failed":
        desk.fail(desk.take(), Failure(type="GenerationFailed", message="It broke off."))
    else:
        desk.http.post(f"/v1/jobs/{job}/cancel")

    _, name, data = parsed(read(desk, job))[-1]

    assert name == "failure"
    assert data["message"]


def test_a_run_can_be_streamed(desk: Any) -> None:
    def work() -> None:
        while not desk.doors.jobs.list():
            time.sleep(0.01)
        claim = desk.take()
        desk.doors.bus.publish(claim.job.id, claim.attempt, Token(text="Hi"))
        desk.succeed(claim, Reply(text="Hi"))

    worker = threading.Thread(target=work)
    worker.start()
    answer = desk.http.post(
        "/v1/agents/echo/runs", json={"text": "Hi"}, headers={"accept": "text/event-stream"}
    )
    worker.join()

    assert answer.status_code == 200
    assert names(answer.text) == ["token", "reply"]
    assert desk.http.get(answer.headers["location"]).json()["status"] == "succeeded"


@pytest.mark.parametrize("after", ["x", "1", "1.2.3", "-1.0", "1." + "9" * 50, "1.0 OR 1=1", "é"])
def test_a_place_that_makes_no_sense_is_refused(desk: Any, after: str) -> None:
    job = desk.ask().json()["id"]

    answer = desk.http.get(
        f"/v1/jobs/{job}/events", headers={"last-event-id": after.encode("utf-8")}
    )

    assert answer.status_code == 422


def test_a_hundred_readers_that_wait_starve_nobody_and_end_when_they_leave(desk: Any) -> None:
    job = desk.ask().json()["id"]
    limits = httpx.Limits(max_connections=150)
    with httpx.Client(base_url=desk.http.base_url, limits=limits, trust_env=False) as many:
        readers = [
            many.send(many.build_request("GET", f"/v1/jobs/{job}/events"), stream=True)
            for _ in range(120)
        ]
        began = time.monotonic()
        others = [desk.http.get("/healthz").status_code for _ in range(20)]
        others.append(desk.http.get(f"/v1/jobs/{job}").status_code)
        took = time.monotonic() - began
        for each in readers:
            each.close()
    deadline = time.monotonic() + 10
    ended = 'route="/v1/jobs/{job_id}/events",status="200"} 120.0'
    while ended not in desk.http.get("/metrics").text:
        assert time.monotonic() < deadline, "readers that left are still served"
        time.sleep(0.05)

    assert set(others) == {200}
    assert took < 30
