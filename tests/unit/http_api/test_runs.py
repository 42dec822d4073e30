"""Asking agents over HTTP."""

import json
import threading
import time
from typing import Any

import pytest

from llmasos.events import Citation, Failure, Reply
from llmasos.request import LOCAL, Principal, conversation_of

PROBLEM = {"type", "title", "status", "detail", "instance"}
REPLY = Reply(
    text="Within 14 days [1].",
    citations=(Citation(source="help/refunds.md", title="Refunds", quote="14 days", score=0.8),),
)


def test_a_run_is_accepted_with_its_job(desk: Any) -> None:
    answer = desk.ask("How long do refunds take?", conversation="c1")

    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["agent"], job["status"], job["reply"]) == ("echo", "queued", None)
    request = desk.doors.jobs.find(job["id"]).request
    assert request.text == "How long do refunds take?"
    assert request.conversation == conversation_of(LOCAL, "c1")
    assert request.principal.id == "local"


def test_nobody_enters_anothers_conversation_by_its_name(desk: Any) -> None:
    mine = desk.ask("one", conversation="slack:T1:C1:17").json()
    hers = desk.ask("two", conversation="slack:T1:C1:17", principal={"id": "slack:T1:U1"}).json()

    names = [desk.doors.jobs.find(job["id"]).request.conversation for job in (mine, hers)]
    assert names[1] == conversation_of(Principal(id="slack:T1:U1"), "slack:T1:C1:17")
    assert len({*names, "slack:T1:C1:17"}) == 3


def test_a_run_can_be_waited_for(desk: Any) -> None:
    def work() -> None:
        while not desk.doors.jobs.list():
            time.sleep(0.01)
        desk.succeed(desk.take(), REPLY)

    worker = threading.Thread(target=work)
    worker.start()
    answer = desk.http.post("/v1/agents/echo/runs?wait=20", json={"text": "Hi"})
    worker.join()

    assert answer.status_code == 200
    assert answer.json()["status"] == "succeeded"
    assert answer.json()["reply"]["citations"][0]["source"] == "help/refunds.md"


def test_a_wait_that_ends_too_early_gives_the_job_as_it_stands(desk: Any) -> None:
    answer = desk.http.post("/v1/agents/echo/runs?wait=0.1", json={"text": "Hi"})

    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"


def test_a_failed_job_is_finished_too(desk: Any) -> None:
    job = desk.ask(idempotency_key="k").json()
    desk.fail(desk.take(), Failure(type="EngineUnavailable", message="It does not answer."))

    answer = desk.http.post(
        "/v1/agents/echo/runs?wait=5", json={"text": "Hello", "idempotency_key": "k"}
    )

    assert answer.status_code == 200
    assert answer.json()["id"] == job["id"]
    assert answer.json()["error"]["type"] == "EngineUnavailable"


def test_a_repeat_is_the_same_job_and_another_content_a_conflict(desk: Any) -> None:
    first = desk.ask("Hello", idempotency_key="k")
    again = desk.ask("Hello", idempotency_key="k")
    other = desk.ask("Goodbye", idempotency_key="k")

    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 409)
    assert first.json()["id"] == again.json()["id"]
    assert other.json()["type"] == "urn:llmasos:error:IdempotencyConflict"
    assert len(desk.doors.jobs.list()) == 1


def test_a_key_of_this_door_is_none_of_another(desk: Any) -> None:
    job = desk.ask(idempotency_key="webhook:form:1").json()

    assert desk.doors.jobs.find(job["id"]).request.idempotency_key == "http:local:webhook:form:1"


def test_an_unknown_agent_is_answered_with_the_nearest(desk: Any) -> None:
    answer = desk.ask(agent="ehco")

    assert answer.status_code == 404
    assert "Did you mean 'echo'?" in answer.json()["detail"]


def test_the_local_caller_may_ask_on_behalf_of_others(desk: Any) -> None:
    refused = desk.ask(agent="private")
    taken = desk.ask(agent="private", principal={"id": "slack:T1:U1", "team": "T1"})
    guest = desk.ask(principal={"id": "slack:T2:U2", "member": False})

    assert (refused.status_code, taken.status_code, guest.status_code) == (403, 202, 403)
    assert refused.json()["type"] == "urn:llmasos:error:NotAllowed"


def test_the_agents_that_the_caller_may_use_are_listed(desk: Any) -> None:
    listed = desk.http.get("/v1/agents").json()["agents"]

    names = [each["name"] for each in listed]
    assert "echo" in names
    assert "private" not in names
    assert listed[names.index("echo")]["description"] == "Says it again."


WRONG: dict[str, tuple[int, Any]] = {
    "no text": (422, {}),
    "an empty text": (422, {"text": ""}),
    "white space": (422, {"text": " \n\t"}),
    "a long text": (422, {"text": "x" * 20_001}),
    "another type": (422, {"text": ["Hello"]}),
    "an unknown field": (422, {"text": "Hello", "tex": "Hello"}),
    "half a character": (422, {"text": "\ud800"}),
    "half a character in a name": (422, {"text": "a", "conversation": "\udfff"}),
    "a NUL in a name": (422, {"text": "a", "idempotency_key": "a\0b"}),
    "a long conversation": (422, {"text": "a", "conversation": "c" * 201}),
    "an address without a channel": (422, {"text": "a", "reply_to": "fax:123"}),
    "an address without a scheme": (422, {"text": "a", "reply_to": ["nowhere"]}),
    "eleven attachments": (422, {"text": "a", "attachments": [{"name": "f"}] * 11}),
    "an empty principal": (422, {"text": "a", "principal": {"id": ""}}),
    "a list": (422, ["text"]),
    "null": (422, None),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_refused_in_one_form_and_stores_nothing(desk: Any, case: str) -> None:
    status, body = WRONG[case]

    answer = desk.http.post(
        "/v1/agents/echo/runs",
        content=json.dumps(body),
        headers={"content-type": "application/json"},
    )

    assert answer.status_code == status
    assert set(answer.json()) == PROBLEM
    assert answer.json()["detail"]
    assert desk.doors.jobs.list() == []


MALFORMED = {
    "no JSON": b"{text: Hello}",
    "half a body": b'{"text": "Hel',
    "nothing": b"",
    "not UTF-8": b'{"text": "\xff\xfe"}',
    "too deep": b"[" * 200_000,
    "not a number": b'{"text": NaN}',
    "a huge number": b'{"text": ' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_body_is_refused_in_the_same_form(desk: Any, case: str) -> None:
    answer = desk.http.post(
        "/v1/agents/echo/runs",
        content=MALFORMED[case],
        headers={"content-type": "application/json"},
    )

    assert answer.status_code in (400, 422)
    assert set(answer.json()) == PROBLEM
    assert desk.doors.jobs.list() == []


@pytest.mark.parametrize("wait", ["-1", "301", "nan", "inf", "soon", "1e9"])
def test_a_wait_that_makes_no_sense_is_refused(desk: Any, wait: str) -> None:
    answer = desk.http.post(f"/v1/agents/echo/runs?wait={wait}", json={"text": "Hi"})

    assert answer.status_code == 422
    assert desk.doors.jobs.list() == []


@pytest.mark.parametrize("name", ["", "%00", "..%2f..", "a" * 5000, "%F0%9F%98%80", "%ff"])
def test_a_strange_name_is_not_found(desk: Any, name: str) -> None:
    answer = desk.http.post(f"/v1/agents/{name}/runs", json={"text": "Hi"})

    assert answer.status_code == 404
    assert answer.json()["detail"]
