"""Knowledge over HTTP: what callers find, and what does not exist for them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from integrations.http_api.app import create_app
from knowledge import KnowledgeBase
from llmasos.testing.retrieval import HashingEmbedder

REFUNDS = "# Refunds\n\nA refund takes 14 days from the day the parcel reaches us.\n"
DELIVERY = "# Delivery\n\nParcels leave the warehouse on weekdays before noon.\n"


@pytest.fixture
def knowledge(desk: Any, tmp_path: Path) -> Iterator[KnowledgeBase]:
    """A collection that everyone may read, and one for a few."""
    folder = tmp_path / "documents"
    (folder / "shop").mkdir(parents=True)
    (folder / "refunds.md").write_text(REFUNDS)
    (folder / "shop" / "delivery.md").write_text(DELIVERY)
    base = KnowledgeBase(desk.doors.settings.knowledge_dir, HashingEmbedder())
    base.add("help-center", [folder])
    base.add("board", [folder / "refunds.md"])
    base.set_readers("board", ["slack:T1:U1"])
    yield base
    base.close()


@pytest.fixture
def http(desk: Any, knowledge: KnowledgeBase) -> TestClient:
    """The API over these collections."""
    app = create_app(replace(desk.doors, knowledge=knowledge))
    return TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1))


def sources(http: TestClient) -> list[str]:
    """The documents that are left in the help center."""
    listed = http.get("/v1/knowledge/help-center/documents").json()["documents"]
    return [each["source"].rpartition("documents/")[2] for each in listed]


def test_a_search_gives_the_nearest_passages_with_their_places(http: TestClient) -> None:
    asked = {"query": "How many days does a refund take?", "k": 1}

    answer = http.post("/v1/knowledge/help-center/search", json=asked)

    (passage,) = answer.json()["passages"]
    assert answer.status_code == 200
    assert {"source", "title", "text", "span", "score", "relevance"} <= set(passage)
    assert passage["source"].endswith("refunds.md")
    assert "14 days" in REFUNDS[slice(*passage["span"])]
    assert 0 < passage["score"] <= 1


def test_a_search_can_be_narrowed_and_explained(http: TestClient) -> None:
    asked = {"query": "refund", "filter": {"path": "*shop/*"}, "explain": True}

    answer = http.post("/v1/knowledge/help-center/search", json=asked)

    (passage,) = answer.json()["passages"]
    assert passage["source"].endswith("shop/delivery.md")
    assert passage["explanation"]["vector_rank"] == 1


def test_collections_and_documents_are_listed(http: TestClient) -> None:
    collections = http.get("/v1/knowledge").json()["collections"]

    assert [(each["collection"], each["documents"]) for each in collections] == [("help-center", 2)]
    assert sources(http) == ["refunds.md", "shop/delivery.md"]


WAYS = pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "search", {"query": "refund"}),
        ("GET", "documents", None),
        ("DELETE", "documents?source=refunds.md", None),
    ],
    ids=["search", "list", "remove"],
)


NOT_THERE = ("board", "help-centre", "..", "%2e%2e%2fjobs", "a" * 300, "%00")


@WAYS
def test_what_a_caller_may_not_read_is_as_good_as_not_there(
    http: TestClient, method: str, path: str, body: Any
) -> None:
    answers = [
        http.request(method, f"/v1/knowledge/{name}/{path}", json=body) for name in NOT_THERE
    ]

    said = " ".join(answer.text for answer in answers)
    assert [answer.status_code for answer in answers] == [404] * len(NOT_THERE)
    assert "board" not in said.replace("'board'", "")


@WAYS
def test_a_misspelt_collection_is_told_the_nearest(
    http: TestClient, method: str, path: str, body: Any
) -> None:
    answer = http.request(method, f"/v1/knowledge/help-centre/{path}", json=body)

    assert "Did you mean 'help-center'?" in answer.json()["detail"]


def test_who_has_the_right_finds_what_others_do_not(http: TestClient) -> None:
    asked = {"query": "refund", "principal": {"id": "slack:T1:U1"}}

    answer = http.post("/v1/knowledge/board/search", json=asked)

    assert len(answer.json()["passages"]) == 1


def test_a_search_that_makes_no_sense_is_refused(http: TestClient) -> None:
    bodies: list[dict[str, Any]] = [
        {},
        {"query": " "},
        {"query": "x" * 2_001},
        {"query": "x", "k": 0},
        {"query": "x", "k": 101},
        {"query": "x", "filter": "1=1"},
        {"query": "x", "principal": {"id": ""}},
    ]

    answers = [http.post("/v1/knowledge/help-center/search", json=body) for body in bodies]

    assert [answer.status_code for answer in answers] == [422] * len(bodies)
    assert all(answer.json()["detail"] for answer in answers)


def test_documents_are_removed_by_source_and_found_no_more(
    http: TestClient, knowledge: KnowledgeBase
) -> None:
    (refunds,) = (d.source for d in knowledge.documents("help-center") if "refunds" in d.source)

    gone = http.delete("/v1/knowledge/help-center/documents", params={"source": refunds})

    found = http.post("/v1/knowledge/help-center/search", json={"query": "refund"}).json()
    assert gone.json()["removed"] == [refunds]
    assert sources(http) == ["shop/delivery.md"]
    assert [each for each in found["passages"] if "refunds" in each["source"]] == []


def test_a_source_that_is_not_there_removes_nothing(http: TestClient) -> None:
    wrong = {"source": ["refunds.md", "nothing.md"]}

    answers = [
        http.delete("/v1/knowledge/help-center/documents", params=params)
        for params in (wrong, {}, {"source": ""})
    ]

    assert [answer.status_code for answer in answers] == [422, 422, 422]
    assert len(sources(http)) == 2


def test_a_damaged_collection_does_not_hide_the_others(
    http: TestClient, make_damage: Callable[[str], None]
) -> None:
    make_damage("board")

    answer = http.get("/v1/knowledge")
    search = http.post("/v1/knowledge/help-center/search", json={"query": "refund"})
    misspelt = http.get("/v1/knowledge/help-centre/documents")

    assert answer.status_code == 200
    assert [each["collection"] for each in answer.json()["collections"]] == ["help-center"]
    assert "board" in answer.json()["damaged"][0]
    assert search.status_code == 200
    assert misspelt.status_code == 404


@pytest.fixture
def make_damage(desk: Any, knowledge: KnowledgeBase) -> Callable[[str], None]:
    """Overwrites a collection's store."""

    def damage(collection: str) -> None:
        knowledge.close()
        for path in (desk.doors.settings.knowledge_dir / collection).rglob("*"):
            if path.is_file() and path.suffix in (".db", ".sqlite"):
                path.write_bytes(b"no database" * 1000)

    return damage


def test_a_collection_is_mirrored_by_a_job_of_the_caller(
    http: TestClient, knowledge: KnowledgeBase, tmp_path: Path
) -> None:
    refused = http.post("/v1/knowledge/help-center/sync")
    knowledge.remember("help-center", [tmp_path / "documents"])

    taken = http.post("/v1/knowledge/help-center/sync", headers={"idempotency-key": "1"})
    again = http.post("/v1/knowledge/help-center/sync", headers={"idempotency-key": "1"})

    assert (refused.status_code, taken.status_code, again.status_code) == (422, 202, 200)
    assert "knowledge sources help-center --add" in refused.json()["detail"]
    assert (taken.json()["agent"], taken.json()["status"]) == ("knowledge_sync", "queued")
    assert again.json()["id"] == taken.json()["id"]
    assert taken.headers["location"] == f"/v1/jobs/{taken.json()['id']}"
    assert http.post("/v1/knowledge/nowhere/sync").status_code == 404


def test_a_collection_is_looked_at_rolled_back_and_removed(
    http: TestClient, knowledge: KnowledgeBase, tmp_path: Path
) -> None:
    at = "/v1/knowledge/help-center"
    knowledge.remove("help-center", ["documents/shop"])

    stats, versions = http.get(at).json(), http.get(f"{at}/versions").json()["versions"]
    undone = http.post(f"{at}/rollback", json={})
    again = http.post(f"{at}/rollback", json={})
    unknown = http.post(f"{at}/rollback", json={"version": "none"})
    removed = http.delete(at)

    assert (stats["documents"], stats["index"]) == (1, "flat")
    assert [each["documents"] for each in versions] == [2]
    assert undone.json()["documents"] == 2
    assert (again.status_code, unknown.status_code) == (422, 404)
    assert len(removed.json()["removed"]) == 2
    assert http.get(at).status_code == http.get("/v1/knowledge/board").status_code == 404


def test_readers_are_set(http: TestClient) -> None:
    at = "/v1/knowledge/help-center"
    told = http.put(
        f"{at}/readers", json={"readers": ["group:hr"], "documents": ["documents/shop"]}
    )
    fewer = sources(http)
    taken_back = http.put(f"{at}/readers", json={"readers": None, "documents": ["documents/shop"]})
    all_again = sources(http)
    closed = http.put(f"{at}/readers", json={"readers": ["slack:T1:U1"]})

    assert {told.status_code, taken_back.status_code, closed.status_code} == {204}
    assert (fewer, all_again) == (["refunds.md"], ["refunds.md", "shop/delivery.md"])
    assert http.get(at).status_code == 404
    assert http.put(f"{at}/readers", json={"readers": None}).status_code == 422


def test_a_collection_is_measured(http: TestClient) -> None:
    queries = [{"query": "How many days does a refund take?", "relevant": ["documents/refunds.md"]}]

    answer = http.post(
        "/v1/knowledge/help-center/evaluate", json={"queries": queries, "per_query": True}
    )

    assert (answer.json()["queries"], answer.json()["hit"]) == (1, 1.0)
    assert answer.json()["outcomes"][0]["found"][0] == "documents/refunds.md"
