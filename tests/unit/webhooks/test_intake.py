"""The intake and its ledger: what becomes of deliveries, and what is written down of them."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from integrations.webhooks import ledger
from integrations.webhooks.hooks import MalformedBody, Skipped, UnknownHook
from integrations.webhooks.ledger import Outcome, UnknownDelivery
from integrations.webhooks.source import Refused
from llmasos.errors import IdempotencyConflict, InvalidRequest
from llmasos.tables import hook_deliveries

FORM = """
[[webhooks]]
name = "form"
secret = "a-long-secret"
agent = "echo"
prompt = "{{ body.message }}"
when = "body.kind != 'praise'"
"""
TOKEN = """
[[webhooks]]
name = "alerts"
source = "token"
secret = "a-long-secret"
agent = "echo"
"""
BODY = b'{"message": "How long?"}'
BEARER = {"authorization": "Bearer a-long-secret"}

Make = Callable[[str], Any]


def test_every_delivery_is_written_down_with_what_became_of_it(make_desk: Make) -> None:
    desk = make_desk(FORM)

    job = desk.send_signed("form", BODY, idempotency_key="a").job
    desk.send_signed("form", BODY, idempotency_key="a")
    desk.send_signed("form", b'{"kind": "praise"}', idempotency_key="b")
    with pytest.raises(InvalidRequest):
        desk.send_signed("form", b"{}", idempotency_key="c")
    with pytest.raises(Refused):
        desk.send("form", BODY, x_llmasos_signature="t=1,v1=00")

    refused, unusable, filtered, repeated, accepted = desk.ledger.entries("form", None, 10)
    assert (accepted.outcome, accepted.key, accepted.job_id) == ("accepted", "a", job.id)
    assert (repeated.outcome, repeated.job_id, repeated.kept) == ("repeated", job.id, False)
    assert (filtered.outcome, filtered.job_id, filtered.kept) == ("filtered", None, True)
    assert (unusable.outcome, "no 'message'" in str(unusable.reason)) == ("unusable", True)
    assert (refused.outcome, refused.key, refused.kept) == ("refused", None, False)
    assert "does not fit" in str(refused.reason)


def test_one_webhook_or_one_outcome_can_be_listed(make_desk: Make) -> None:
    desk = make_desk(FORM + TOKEN)
    desk.send_signed("form", BODY)
    desk.send("alerts", BODY, **BEARER)
    with pytest.raises(Refused):
        desk.send("alerts", BODY)

    assert [each.hook for each in desk.ledger.entries("form", None, 10)] == ["form"]
    assert [each.hook for each in desk.ledger.entries(None, Outcome.REFUSED, 10)] == ["alerts"]
    assert len(desk.ledger.entries(None, None, 2)) == 2


def test_a_recorded_delivery_makes_no_second_job_under_another_key(make_desk: Make) -> None:
    desk, now = make_desk(FORM), time.time()
    desk.send_signed("form", BODY, now, idempotency_key="a")
    other = make_desk(FORM)  # as it is after a restart, or in another process

    for headers in ({"idempotency_key": "b"}, {}):
        with pytest.raises(Refused, match="another Idempotency-Key"):
            other.send_signed("form", BODY, now, **headers)

    assert len(desk.doors.jobs.list()) == 1


def test_the_same_body_soon_after_is_a_repeat_where_senders_give_no_id(make_desk: Make) -> None:
    desk = make_desk(TOKEN)

    first = desk.send("alerts", BODY, **BEARER)
    again = desk.send("alerts", BODY, **BEARER)
    other = desk.send("alerts", b'{"message": "How short?"}', **BEARER)
    with desk.doors.database.writing() as connection:
        connection.execute(update(hook_deliveries).values(received_at=time.time() - 301))
    later = desk.send("alerts", BODY, **BEARER)

    assert (first.new, again.new, other.new, later.new) == (True, False, True, True)
    assert again.job.id == first.job.id


def test_another_body_under_a_known_id_is_a_conflict(make_desk: Make) -> None:
    desk = make_desk(TOKEN)
    desk.send("alerts", BODY, idempotency_key="a", **BEARER)

    with pytest.raises(IdempotencyConflict):
        desk.send("alerts", b'{"message": "Now!"}', idempotency_key="a", **BEARER)

    assert desk.outcomes == ["unusable", "accepted"]


def test_what_proves_the_sender_is_in_no_prompt_and_no_log(make_desk: Make) -> None:
    shown = 'prompt = "{{ headers | tojson }}"\nheader = "X-Key"\n'
    desk = make_desk(TOKEN + shown)

    job = desk.send("alerts", BODY, x_key="a-long-secret", cookie="c", x_other="seen").job

    _, arrival = desk.ledger.kept(1)
    assert json.loads(job.request.text) == {"x-other": "seen"}
    assert arrival.headers == {"x-other": "seen"}


def test_the_event_is_there_for_templates(make_desk: Make) -> None:
    hook = """
    [[webhooks]]
    name = "issues"
    source = "github"
    secret = "a-long-secret"
    agent = "echo"
    when = "event.kind == 'issues.opened'"
    """
    desk = make_desk(hook)
    body = json.dumps({"action": "opened", "issue": {"number": 1, "title": "Broken"}}).encode()
    digest = hmac.new(b"a-long-secret", body, hashlib.sha256).hexdigest()
    proof = {"x_hub_signature_256": f"sha256={digest}"}

    opened = desk.send("issues", body, x_github_event="issues", x_github_delivery="1", **proof)
    other = desk.send("issues", body, x_github_event="issue_comment", **proof)

    assert opened.job.request.text == "Someone opened issue #1: Broken"
    assert opened.job.request.idempotency_key == "webhook:issues:1"
    assert isinstance(other, Skipped)


def test_a_delivery_that_could_not_be_used_is_delivered_again_by_new_settings(
    make_desk: Make,
) -> None:
    desk = make_desk(FORM)
    with pytest.raises(InvalidRequest):
        desk.send_signed("form", b'{"text": "How long?"}', idempotency_key="a")
    mended = make_desk(FORM.replace("body.message", "body.text"))

    made = mended.intake.again(1)
    repeat = mended.send_signed("form", b'{"text": "How long?"}', idempotency_key="a")

    assert (made.new, made.job.request.text) == (True, "How long?")
    assert (repeat.new, repeat.job.id) == (False, made.job.id)


def test_a_delivery_that_made_a_job_makes_another_when_it_is_delivered_again(
    make_desk: Make,
) -> None:
    desk = make_desk(FORM)
    first = desk.send_signed("form", BODY)

    second = desk.intake.again(1)

    assert second.new
    assert second.job.id != first.job.id
    assert desk.outcomes == ["accepted", "accepted"]


@pytest.mark.parametrize(("entry", "why"), [(1, "not kept"), (99, "No delivery")])
def test_what_was_not_kept_cannot_be_delivered_again(make_desk: Make, entry: int, why: str) -> None:
    desk = make_desk(FORM + "keep_bodies = false\n")
    desk.send_signed("form", BODY)

    with pytest.raises(UnknownDelivery, match=why):
        desk.intake.again(entry)


def test_the_ledger_forgets_what_is_old_and_keeps_few_refusals(
    make_desk: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "MOST_REFUSED", 5)
    desk = make_desk(FORM)
    desk.send_signed("form", BODY)
    for number in range(15):
        desk.ledger.add_refused("form", time.time(), f"reason {number}")
    long_ago = time.time() - 8 * 86_400
    desk.ledger.add_refused("form", long_ago, "old")
    desk.ledger.add_refused("gone", long_ago, "old")

    for _ in range(3):
        desk.ledger.add_refused("form", time.time(), "new")

    kept = [each.reason for each in desk.ledger.entries(None, None, 100)]
    assert kept == ["new", "new", "new", "reason 14", "reason 13", None]


def test_a_hook_that_does_not_exist_leaves_no_trace(make_desk: Make) -> None:
    desk = make_desk(FORM)

    with pytest.raises(UnknownHook):
        desk.send_signed("other", BODY)

    assert desk.outcomes == []


@pytest.mark.parametrize("body", [
    b"[" * 101 + b"]" * 101, b'{"a":' * 101 + b"1" + b"}" * 101, b"[" * 100_000, b"NaN",
    b'{"a": Infinity}', b"", b"\xff", b'{"a": 1', b"9" * 5000,
])  # fmt: skip
def test_a_genuine_body_that_is_no_plain_json_is_refused_with_its_reason(
    make_desk: Make, body: bytes
) -> None:
    desk = make_desk(FORM)

    with pytest.raises(MalformedBody, match="must be JSON"):
        desk.send_signed("form", body)

    assert desk.outcomes == ["unusable"]
