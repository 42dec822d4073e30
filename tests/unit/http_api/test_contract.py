"""The API against its own OpenAPI document: whatever is sent, it is answered as that says."""

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    negative_data_rejection,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from knowledge import KnowledgeBase
from llmasos.events import Reply
from llmasos.testing.retrieval import HashingEmbedder

CONFORMS = [
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]
CHECKS = {
    GenerationMode.POSITIVE: CONFORMS,
    GenerationMode.NEGATIVE: [*CONFORMS, negative_data_rejection],
}
OPERATIONS = [
    ("GET", "/v1/agents"),
    ("POST", "/v1/agents/{name}/runs"),
    ("GET", "/v1/jobs"),
    ("GET", "/v1/jobs/{job_id}"),
    ("GET", "/v1/jobs/{job_id}/events"),
    ("GET", "/v1/jobs/{job_id}/artifacts/{number}"),
    ("POST", "/v1/jobs/{job_id}/cancel"),
    ("POST", "/v1/jobs/{job_id}/retry"),
    ("POST", "/v1/jobs/{job_id}/approve"),
    ("POST", "/v1/jobs/{job_id}/decline"),
    ("GET", "/v1/knowledge"),
    ("POST", "/v1/knowledge/{collection}/search"),
    ("POST", "/v1/knowledge/{collection}/documents"),
    ("GET", "/v1/knowledge/{collection}/documents"),
    ("DELETE", "/v1/knowledge/{collection}/documents"),
    ("DELETE", "/v1/knowledge/{collection}/documents/{source}"),
    ("POST", "/v1/knowledge/{collection}/sync"),
    ("GET", "/v1/knowledge/{collection}"),
    ("GET", "/v1/knowledge/{collection}/versions"),
    ("POST", "/v1/knowledge/{collection}/evaluate"),
    ("POST", "/v1/knowledge/{collection}/rollback"),
    ("PUT", "/v1/knowledge/{collection}/readers"),
    ("DELETE", "/v1/knowledge/{collection}"),
    ("POST", "/v1/chat/completions"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model}"),
    ("GET", "/healthz"),
    ("GET", "/metrics"),
    ("POST", "/hooks/{name}"),
]
"""What is tried."""
OTHERS = [("GET", "/readyz")]
"""There is no engine here."""
HOOK = """
[[webhooks]]
name = "echo"
source = "token"
header = "X-Token"
secret = "a-long-secret"
agent = "echo"
prompt = "{{ body }}"
when = "body != 'quiet'"
"""
PARTS = 4
EXAMPLES = {GenerationMode.POSITIVE: 3, GenerationMode.NEGATIVE: 6}
"""Requests to each route: those that fit its description, and wrong ones."""


class Served:
    """The API with knowledge and a worker that answers all jobs at once."""

    def __init__(self, desk: Any, address: str) -> None:
        self.address, self._desk = address, desk
        self._stopping = threading.Event()
        self._worker = threading.Thread(target=self._work)
        self.document = httpx.get(f"{address}/openapi.json", timeout=60).json()
        for item in self.document["paths"].values():
            for operation in item.values():
                operation.pop("security", None)  # without keys none is needed: see `test_keys.py`
        self.job = desk.ask().json()["id"]
        self._worker.start()
        desk.doors.knowledge.upload("help", {"a.md": b"# Refunds\n\nWithin 14 days.\n"})

    def stop(self) -> None:
        self._stopping.set()
        self._worker.join()

    def _work(self) -> None:
        while not self._stopping.wait(0.02):
            while claim := self._desk.claims.take():
                self._desk.succeed(claim, Reply(text="Hello"))


@pytest.fixture
def served(make_desk: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(KnowledgeBase, "open", _hashing)
    desk = make_desk(f"web.refusals_per_minute = 1000000\n{HOOK}")
    made = Served(desk, str(desk.http.base_url).rstrip("/"))
    yield made
    made.stop()


def _hashing(settings: Any) -> KnowledgeBase:
    return KnowledgeBase(settings.knowledge_dir, HashingEmbedder())


def test_every_route_is_tried(served: Served) -> None:
    paths = served.document["paths"]
    named = [(verb.upper(), path) for path, item in paths.items() for verb in item]

    assert {*named} == {*OPERATIONS, *OTHERS}


def _can_be_wrong(operation: Any) -> bool:
    """Whether something else than its path may be wrong in a request."""
    if operation.path.startswith("/hooks/"):
        return False  # any JSON is right there; `test_hostile.py` has what is not
    return any(len(each) for each in (operation.query, operation.headers, operation.body))


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("mode", EXAMPLES)
def test_what_is_sent_is_answered_as_the_document_says(
    served: Served, mode: GenerationMode, part: int
) -> None:
    schema = schemathesis.openapi.from_dict(served.document)
    known = {"name": "echo", "job_id": served.job, "collection": "help", "model": "echo"}

    for verb, path in OPERATIONS[part::PARTS]:
        operation = schema[path][verb]
        if mode is GenerationMode.NEGATIVE and not _can_be_wrong(operation):
            continue

        @settings(
            max_examples=EXAMPLES[mode], deadline=None, database=None, derandomize=True,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(mode))
        def ask(case: Case) -> None:
            case.path_parameters = {
                name: known.get(name, value) for name, value in (case.path_parameters or {}).items()
            }
            case.headers = {**(case.headers or {}), "X-Token": "a-long-secret"}
            case.call_and_validate(base_url=served.address, checks=CHECKS[mode], timeout=60)

        try:
            ask()
        except Exception as error:
            raise AssertionError(f"{verb} {path}") from error
