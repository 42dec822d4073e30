"""Documents over HTTP: sent as files or as text, replaced, removed, and bounded."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from integrations.http_api.app import create_app
from knowledge import KnowledgeBase
from llmasos.settings import KnowledgeSettings
from llmasos.testing.retrieval import HashingEmbedder

PLACE = "/v1/knowledge/help/documents"


@pytest.fixture
def http(desk: Any) -> Iterator[TestClient]:
    """The API over an empty knowledge base, with small limits."""
    limits = KnowledgeSettings(max_upload_bytes=2_000)
    settings = desk.doors.settings.model_copy(update={"knowledge": limits})
    base = KnowledgeBase(settings.knowledge_dir, HashingEmbedder(), limits)
    doors = replace(desk.doors, knowledge=base, settings=settings)
    yield TestClient(create_app(doors), base_url="http://127.0.0.1", client=("127.0.0.1", 1))
    base.close()


def sources(http: TestClient) -> list[str]:
    """The documents that are there."""
    return [each["source"] for each in http.get(PLACE).json()["documents"]]


def test_files_are_taken_and_found_and_one_bad_one_stops_no_other(http: TestClient) -> None:
    files = [
        ("file", ("faq/refunds.md", b"# Refunds\n\nWithin two weeks.\n")),
        ("file", ("../../broken.pdf", b"no pdf")),
    ]

    answer = http.post(PLACE, files=files)

    found = http.post("/v1/knowledge/help/search", json={"query": "weeks"}).json()["passages"]
    assert (answer.status_code, answer.json()["added"]) == (200, ["faq/refunds.md"])
    assert answer.json()["failed"][0]["source"] == "upload:broken.pdf"
    assert found[0]["text"] == "Within two weeks."


def test_a_text_takes_the_place_of_the_one_before_it_and_can_be_removed(http: TestClient) -> None:
    first = http.post(PLACE, json={"name": "faq/退款.md", "text": "# A\n\nOld words.\n"})
    second = http.post(PLACE, json={"name": "faq/退款.md", "text": "# A\n\nNew words.\n"})
    http.post(PLACE, json={"name": "b.txt", "text": "Others."})

    removed = http.delete(f"{PLACE}/faq/退款.md")

    assert (first.json()["added"], second.json()["changed"]) == (["faq/退款.md"], ["faq/退款.md"])
    assert removed.json()["removed"] == ["faq/退款.md"]
    assert sources(http) == ["b.txt"]
    assert http.delete(f"{PLACE}/nothing.md").status_code == 422


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        ({"json": {"name": "a.md", "text": "x" * 3_000}}, 413, "knowledge.max_upload_bytes"),
        ({"files": {"file": ("a.md", b"x" * 3_000)}}, 413, "knowledge.max_upload_bytes"),
        ({"files": {"file": ("a.pdf", b"no pdf")}}, 422, "not a sound PDF"),
        ({"files": {"file": ("a.exe", b"MZ")}}, 422, "cannot be read"),
        ({"json": {"name": "..", "text": "x"}}, 422, "needs a name"),
        ({"json": {"name": "a.md"}}, 422, "text: Field required"),
        ({"json": {"name": "a.md", "text": "x", "origin": "/etc"}}, 422, "origin"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 422, "JSON"),
        ({"data": {"file": "x"}}, 422, "JSON"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "boundary"),
    ],
)
def test_what_cannot_be_taken_is_refused_and_makes_nothing(
    http: TestClient, sent: dict[str, Any], status: int, said: str
) -> None:
    answer = http.post(PLACE, **sent)

    assert answer.status_code == status
    assert said in answer.json()["detail"]
    assert http.get("/v1/knowledge").json()["collections"] == []


def test_nothing_is_sent_to_a_collection_that_the_caller_may_not_read(
    http: TestClient, desk: Any
) -> None:
    http.post(PLACE, json={"name": "a.md", "text": "# A\n\nWords.\n"})
    base = KnowledgeBase(desk.doors.settings.knowledge_dir, HashingEmbedder())
    base.set_readers("help", ["group:board"])
    base.close()

    answer = http.post(PLACE, json={"name": "b.md", "text": "# B\n\nWords.\n"})

    assert answer.status_code == 404
    assert base.stats("help").documents == 1
