"""What deliveries tell: events with a text that a person can read, of any JSON at all."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.webhooks.source import Event
from integrations.webhooks.telling import LONGEST_TEXT
from llmasos import plugins
from llmasos.settings import WebhookSettings

SOURCES = {
    name: make(WebhookSettings.model_validate({"name": "w", "source": name, "secret": "s"}))
    for name, make in plugins.load("llmasos.webhooks")
}


def event(kind: str, body: Any, **headers: str) -> Event:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    told: Event = SOURCES[kind].event(named, body)
    return told


ISSUE = {
    "action": "opened",
    "issue": {
        "number": 2, "title": "Spelling error", "user": {"login": "ann"}, "state": "open",
        "html_url": "https://github.com/o/r/issues/2", "labels": [{"name": "bug"}],
        "body": "It looks like you accidentally spelled 'commit' with two 't's.",
    },
    "repository": {"full_name": "o/r"},
    "sender": {"login": "bob"},
}  # fmt: skip


def test_a_github_issue_is_told_with_title_author_link_and_body() -> None:
    told = event("github", ISSUE, x_github_event="issues")

    assert told.kind == "issues.opened"
    assert told.text == (
        "bob opened issue #2: Spelling error in o/r\n"
        "Link: https://github.com/o/r/issues/2\n"
        "Author: ann\n"
        "State: open\n"
        "Labels: bug\n\n"
        "It looks like you accidentally spelled 'commit' with two 't's."
    )


def test_a_comment_is_told_before_what_it_is_about() -> None:
    comment = {"comment": {"html_url": "https://github.com/o/r/issues/2#c1", "body": "Right!"}}

    told = event("github", ISSUE | comment | {"action": "created"}, x_github_event="issue_comment")

    assert told.text.startswith("bob created issue comment #2: Spelling error in o/r\n")
    assert told.text.index("Right!") < told.text.index("two 't's")


def test_a_push_is_told_with_its_commits() -> None:
    commit = {"id": "0d1a26e67d8f5eaf", "message": "Fix it\n\nLong.", "author": {"name": "Ann"}}
    body = {"ref": "refs/heads/main", "commits": [commit], "pusher": {"name": "ann"}}

    told = event("github", body, x_github_event="push")

    assert told.text == "ann pushed 1 commit to branch main\n- Fix it (0d1a26e67d8, Ann)"


def test_an_event_of_github_that_nobody_knows_is_told_all_the_same() -> None:
    body = {"action": "conjured", "unicorn": {"name": "Una", "html_url": "https://github.com/u"}}

    told = event("github", body, x_github_event="unicorn")

    assert told.kind == "unicorn.conjured"
    assert told.text == "Someone conjured unicorn Una\nLink: https://github.com/u"


def test_a_gitlab_note_names_the_issue_and_the_comment() -> None:
    body = {
        "object_kind": "note",
        "user": {"name": "Ann"},
        "project": {"path_with_namespace": "g/p"},
        "object_attributes": {"note": "Looks good.", "noteable_type": "MergeRequest",
                              "url": "https://gitlab.com/g/p/-/merge_requests/1#note_1"},
        "merge_request": {"iid": 1, "title": "Add it", "description": "A change."},
    }  # fmt: skip

    told = event("gitlab", body)

    assert told.kind == "note"
    assert told.text == (
        "Ann commented on merge request #1: Add it in g/p\n"
        "Link: https://gitlab.com/g/p/-/merge_requests/1#note_1\n\nLooks good.\n\nA change."
    )


def alert(name: str, severity: str, status: str = "firing") -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": name, "severity": severity, "host": "db-1"},
        "annotations": {"summary": f"{name} on db-1"},
        "startsAt": "2026-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
    }


def test_alerts_are_told_the_worst_first_and_the_firing_before_the_resolved() -> None:
    alerts = [
        alert("Slow", "warning"), alert("Gone", "critical", "resolved"), alert("Full", "critical"),
        alert("Odd", "info"),
    ]  # fmt: skip
    body = {"status": "firing", "groupLabels": {"job": "db"}, "alerts": alerts}

    told = event("alertmanager", body)

    lines = told.text.split("\n")
    assert told.kind == "firing"
    assert lines[0] == "Alerts: 3 firing, 1 resolved (job=db)"
    assert [line for line in lines if line.startswith("[")] == [
        "[FIRING] critical: Full", "[FIRING] warning: Slow", "[FIRING] info: Odd",
        "[RESOLVED] critical: Gone",
    ]  # fmt: skip
    assert "Full on db-1" in lines


def test_a_charge_is_told_with_its_amount_in_its_currency() -> None:
    charge = {"id": "ch_1", "amount": 1234, "currency": "eur", "status": "succeeded"}

    told = event("stripe", {"type": "charge.succeeded", "data": {"object": charge}})

    assert told.kind == "charge.succeeded"
    assert told.text == "Charge succeeded\nAmount: 12.34 EUR\nId: ch_1\nStatus: succeeded"


def test_a_text_is_the_text() -> None:
    assert event("generic", {"text": " Hello "}).text == " Hello "


def test_json_that_nobody_knows_is_told_by_the_fields_that_people_read() -> None:
    body = {
        "id": 7, "uuid": "a-b-c", "ticket": {"subject": "No guinea pigs", "priority": "High",
        "html": "<div>Too many <b>cats</b></div>", "avatar_url": "https://x/a.png"},
        "self": "https://example.com/rest/api/2/7", "labels": ["red", "blue"], "draft": False,
    }  # fmt: skip

    told = event("token", body, x_desk_event="ticket.created")

    assert told.kind == "ticket.created"
    assert told.text == (
        "Event: ticket.created\nNo guinea pigs\nTicket priority: High\nLabels: red, blue\n"
        "Ticket html: Too many cats"
    )


def test_an_endless_body_makes_a_text_of_bounded_length() -> None:
    body = {"a": [{f"k{n}": "x" * 5000} for n in range(5000)]}

    assert len(event("hmac", body).text) <= LONGEST_TEXT


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=15,
)
KEYS = (
    "action issue alerts labels annotations commits object_attributes changes builds user data "
    "object previous_attributes currency amount sender repository comment assignees status text "
    "pull_request merge_request groupLabels project type"
)
likely = st.dictionaries(st.sampled_from(KEYS.split()), json_values | st.dictionaries(
    st.sampled_from(KEYS.split()), json_values, max_size=4), max_size=6)  # fmt: skip


@pytest.mark.parametrize("kind", sorted(SOURCES))
@settings(max_examples=40)
@given(st.data())
def test_no_body_makes_a_source_stumble(kind: str, data: Any) -> None:
    body = data.draw(likely | json_values)
    name = data.draw(st.sampled_from(["issues", "push", "ping", "star", "pull_request", ""]))

    told = event(kind, body, x_github_event=name)

    assert told.kind
    json.dumps([told.kind, told.text])
