"""Jobs over HTTP."""

from typing import Any

import pytest

from llmasos.events import Approval, Artifact, Failure, Reply
from llmasos.generation import Usage


def test_a_job_is_found_by_its_id(desk: Any) -> None:
    job = desk.ask().json()
    desk.succeed(desk.take(), Reply(text="Hello"))

    found = desk.http.get(f"/v1/jobs/{job['id']}")

    assert found.status_code == 200
    assert found.json()["reply"]["text"] == "Hello"
    assert found.json()["attempts"] == 1


NOBODYS = ["nope", "0" * 24, "%00", "0" * 400, "..%2f..", "%F0%9F%98%80", "A" * 24]


@pytest.mark.parametrize("rest", ["", "/events", "/cancel", "/retry"])
def test_a_job_that_is_not_there_is_not_found(desk: Any, rest: str) -> None:
    method = "POST" if rest in ("/cancel", "/retry") else "GET"

    answers = [desk.http.request(method, f"/v1/jobs/{job}{rest}") for job in NOBODYS]

    assert [answer.status_code for answer in answers] == [404] * len(NOBODYS)
    assert all(answer.json()["detail"] for answer in answers)


def test_jobs_are_listed_newest_first_page_by_page(desk: Any) -> None:
    made = [desk.ask(f"Question {number}").json()["id"] for number in range(5)]

    first = desk.http.get("/v1/jobs?limit=3").json()
    second = desk.http.get(f"/v1/jobs?limit=3&cursor={first['next']}").json()

    assert [job["id"] for job in first["jobs"] + second["jobs"]] == made[::-1]
    assert second["next"] is None


def test_jobs_are_filtered_by_status_and_agent(desk: Any) -> None:
    desk.ask("One")
    desk.succeed(desk.take(), Reply(text="1"))
    queued = desk.ask("Two").json()["id"]

    by_status = desk.http.get("/v1/jobs?status=queued").json()["jobs"]
    by_agent = desk.http.get("/v1/jobs?agent=echo").json()["jobs"]
    by_other = desk.http.get("/v1/jobs?agent=private").json()["jobs"]

    assert [job["id"] for job in by_status] == [queued]
    assert (len(by_agent), by_other) == (2, [])


@pytest.mark.parametrize("query", [
    "limit=0", "limit=201", "limit=x", "status=done", "agent=ehco", "cursor=nope", "cursor=%00",
    "cursor=Li4v", "cursor=" + "A" * 3000,    "agent=%00", "limit=99999999999999999999",
])  # fmt: skip
def test_a_list_that_makes_no_sense_is_refused(desk: Any, query: str) -> None:
    answer = desk.http.get(f"/v1/jobs?{query}")

    assert answer.status_code in (404, 422)
    assert answer.json()["detail"]


def test_a_waiting_job_is_cancelled_at_once_and_can_be_run_again(desk: Any) -> None:
    job = desk.ask().json()["id"]

    cancelled = desk.http.post(f"/v1/jobs/{job}/cancel")
    twice = desk.http.post(f"/v1/jobs/{job}/cancel")
    retried = desk.http.post(f"/v1/jobs/{job}/retry")
    again = desk.http.post(f"/v1/jobs/{job}/retry")

    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (twice.status_code, twice.json()["type"]) == (409, "urn:llmasos:error:WrongJobState")
    assert (retried.status_code, retried.json()["status"]) == (202, "queued")
    assert again.status_code == 409


def test_a_failed_job_says_why(desk: Any) -> None:
    job = desk.ask().json()["id"]
    desk.fail(desk.take(), Failure(type="DeadlineExceeded", message="It took too long."))

    found = desk.http.get(f"/v1/jobs/{job}").json()

    assert found["status"] == "failed"
    assert found["error"] == {"type": "DeadlineExceeded", "message": "It took too long."}


def test_what_a_job_asks_is_decided_once(desk: Any) -> None:
    job = desk.ask().json()["id"]
    question = Approval(question="May I?", payload={"cents": 3000})
    desk.outcomes.suspend(desk.take(), "echo", question, Usage(), 3600)
    asked = desk.http.get(f"/v1/jobs/{job}").json()

    granted = desk.http.post(f"/v1/jobs/{job}/approve")
    late = desk.http.post(f"/v1/jobs/{job}/decline")

    assert (asked["status"], asked["waiting_for"]) == ("awaiting_approval", "approval by asker")
    assert (asked["approval"]["question"], asked["approval"]["payload"]) == (
        "May I?",
        {"cents": 3000},
    )
    assert (granted.status_code, granted.json()["status"]) == (202, "queued")
    assert (late.status_code, late.json()["type"]) == (409, "urn:llmasos:error:AlreadyDecided")


def test_the_files_of_an_answer_are_downloaded_by_their_number(desk: Any) -> None:
    job = desk.ask().json()["id"]
    files = (Artifact(name="a/notes.md", text="# Hi"), Artifact(name="b.docx", data=b"PK\xff"))
    desk.succeed(desk.take(), Reply(text="Two files.", artifacts=files))

    answers = [desk.http.get(f"/v1/jobs/{job}/artifacts/{number}") for number in (1, 2, 3)]

    assert [each.content for each in answers[:2]] == [b"# Hi", b"PK\xff"]
    assert answers[0].headers["content-disposition"] == "attachment; filename*=UTF-8''notes.md"
    assert answers[2].status_code == 404
    assert desk.http.get(f"/v1/jobs/{job}").json()["reply"]["artifacts"][1]["data"] == "UEv/"
