"""Webhooks over HTTP: signed deliveries make jobs, all others make nothing."""

import json
import logging
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from integrations.webhooks.generic import sign
from llmasos.errors import SettingsError

SECRET = "a-long-secret"
HOOK = f'''
[[webhooks]]
name = "form"
secret = "{SECRET}"
agent = "echo"
prompt = "{{{{ body.subject }}}}\\n\\n{{{{ body.message }}}}"
when = "body.kind == 'question'"
'''
BODY = {"kind": "question", "subject": "Refund", "message": "How long does it take?"}


@pytest.fixture
def hook(make_desk: Callable[..., Any]) -> Any:
    return make_desk(HOOK)


def deliver(
    desk: Any, body: Any = BODY, at: float | None = None, path: str = "form", **headers: str
) -> httpx.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signature = sign(SECRET, raw, time.time() if at is None else at)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return desk.http.post(
        f"/hooks/{path}", content=raw, headers={"x-llmasos-signature": signature, **named}
    )


def test_a_signed_delivery_makes_a_job(hook: Any) -> None:
    answer = deliver(hook)

    job = hook.doors.jobs.find(answer.json()["id"])
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{job.id}"
    assert job.request.text == "Refund\n\nHow long does it take?"
    assert (job.request.principal.id, job.request.conversation) == ("webhook:form", None)
    assert job.request.idempotency_key is not None
    assert job.request.idempotency_key.startswith("webhook:form:")


def test_a_repeat_is_the_same_job(hook: Any) -> None:
    now = time.time()

    answers = [deliver(hook, at=now) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 200, 200]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(hook.doors.jobs.list()) == 1


def test_a_repeat_that_was_signed_again_is_known_by_its_key(hook: Any) -> None:
    now = time.time()

    first = deliver(hook, at=now - 60, idempotency_key="order-1")
    again = deliver(hook, at=now, idempotency_key="order-1")
    stale = deliver(hook, at=now - 301, idempotency_key="order-1")

    assert (first.status_code, again.status_code, stale.status_code) == (202, 200, 401)
    assert first.json()["id"] == again.json()["id"]


def test_another_body_under_a_known_key_is_a_conflict(hook: Any) -> None:
    first = deliver(hook, idempotency_key="order-1")
    other = deliver(hook, {**BODY, "message": "Now!"}, idempotency_key="order-1")
    same_text = deliver(hook, {**BODY, "number": 2}, idempotency_key="order-1")

    assert (first.status_code, other.status_code, same_text.status_code) == (202, 409, 409)
    assert len(hook.doors.jobs.list()) == 1


def test_a_delivery_that_is_filtered_out_makes_no_job_and_says_why(hook: Any) -> None:
    answer = deliver(hook, {**BODY, "kind": "praise"})

    assert answer.status_code == 200
    assert answer.json()["skipped"] is True
    assert "body.kind == 'question'" in answer.json()["reason"]
    assert hook.doors.jobs.list() == []


def test_the_senders_proxy_and_name_for_us_do_not_matter(hook: Any) -> None:
    answer = deliver(hook, host="hooks.example.com", x_forwarded_for="203.0.113.7")

    assert answer.status_code == 202


FORGED: dict[str, dict[str, str]] = {
    "no signature": {"x-llmasos-signature": ""},
    "another secret": {"x-llmasos-signature": sign("guessed", json.dumps(BODY).encode(), 1e9)},
    "nonsense": {"x-llmasos-signature": "t=,v1=;" * 500},
    "not ASCII": {"x-llmasos-signature": "t=1,v1=é\xff"},
    "a huge timestamp": {"x-llmasos-signature": f"t={'9' * 500},v1={'0' * 64}"},
    "a huge header": {"x-llmasos-signature": "x" * 30_000},
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_delivery_is_refused_and_makes_nothing(hook: Any, case: str) -> None:
    raw = json.dumps(BODY).encode()
    headers = [(name, value.encode("latin-1")) for name, value in FORGED[case].items()]

    answer = hook.http.post("/hooks/form", content=raw, headers=headers)

    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:llmasos:error:Refused"
    assert hook.doors.jobs.list() == []


def test_two_signature_headers_are_one_too_many(hook: Any) -> None:
    raw = json.dumps(BODY).encode()
    good = ("x-llmasos-signature", sign(SECRET, raw, time.time()))

    answer = hook.http.post("/hooks/form", content=raw, headers=[good, good])

    assert answer.status_code == 401


@pytest.mark.parametrize("offset", [-301, 302])
def test_a_stale_delivery_is_refused(hook: Any, offset: int) -> None:
    assert deliver(hook, at=time.time() + offset).status_code == 401


def test_a_truncated_delivery_is_refused(hook: Any) -> None:
    raw = json.dumps(BODY).encode()
    headers = {"x-llmasos-signature": sign(SECRET, raw, time.time())}

    assert hook.http.post("/hooks/form", content=raw[:-1], headers=headers).status_code == 401


UNUSABLE: dict[str, tuple[int, Any]] = {
    "nothing": (400, b""),
    "no JSON": (400, b"kind=question"),
    "not UTF-8": (400, b'{"kind": "\xff"}'),
    "too deep": (400, b"[" * 100_000),
    "half a character": (422, b'{"kind": "question", "subject": "\\ud800", "message": ""}'),
    "a field missing": (422, {"kind": "question", "subject": "Refund"}),
    "an empty message": (422, {"kind": "question", "subject": " ", "message": ""}),
    "a long message": (422, {"kind": "question", "subject": "", "message": "x" * 30_000}),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_genuine_delivery_that_cannot_be_used_is_told_why(hook: Any, case: str) -> None:
    status, body = UNUSABLE[case]

    answer = deliver(hook, body)

    assert answer.status_code == status
    assert answer.json()["detail"]
    assert hook.doors.jobs.list() == []


def test_a_missing_field_is_named(hook: Any) -> None:
    message = deliver(hook, {"kind": "question", "subject": "A"}).json()["detail"]

    assert "'form'" in message
    assert "'message'" in message


@pytest.mark.parametrize("body", [b"[1]", b'"text"', b"7", b"null", b"true", b"NaN"])
def test_a_body_of_another_kind_is_no_error_of_ours(hook: Any, body: bytes) -> None:
    assert deliver(hook, body).status_code in (200, 400, 422)


def test_a_large_delivery_is_refused_before_it_is_looked_at(hook: Any) -> None:
    assert deliver(hook, b" " * 1_000_001).status_code == 413


@pytest.mark.parametrize("name", ["other", "FORM", "form%00", "..%2fform.", "x" * 3000])
def test_an_unknown_webhook_is_not_found(hook: Any, name: str) -> None:
    assert deliver(hook, path=name).status_code == 404


def test_neither_secret_nor_message_is_logged(hook: Any, capfd: Any, caplog: Any) -> None:
    with caplog.at_level(logging.INFO):
        deliver(hook)
        deliver(hook, {"kind": "question", "subject": "Refund"})
        deliver(hook, at=0)

    out, err = capfd.readouterr()
    said = out + err + caplog.text
    assert "http.handled" in said
    for secret in (SECRET, "Refund", "How long"):
        assert secret not in said


WRONG = {
    "a template": ('prompt = "{{ body."', "prompt"),
    "a condition": ('when = "body.kind =="', "when"),
    "an agent": ('agent = "ehco"', "Did you mean 'echo'"),
    "a source": ('source = "genric"', "Did you mean 'generic'"),
    "a channel": ('reply_to = ["fax:1"]', "reply_to"),
    "a URL without a secret": ('reply_to = ["https://example.com/a"]', "callbacks"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_in_a_webhook_is_found_at_start(make_desk: Callable[..., Any], case: str) -> None:
    line, hint = WRONG[case]

    with pytest.raises(SettingsError, match=r"webhooks\.wrong\.") as raised:
        make_desk(f'[[webhooks]]\nname = "wrong"\nsecret = "s3cr3t"\n{line}\n')

    assert hint in str(raised.value)
    assert "s3cr3t" not in str(raised.value)


def test_two_webhooks_of_one_name_are_found_at_start(make_desk: Callable[..., Any]) -> None:
    with pytest.raises(SettingsError, match="taken by another"):
        make_desk(HOOK + HOOK)
