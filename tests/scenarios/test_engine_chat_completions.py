"""`/v1/completions` through the engine's own door: several prompts side by side."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

PROMPTS = ["1, 2, 3, 4, 5, 6,", "A, B, C, D, E, F,"]
BODY = {"prompt": PROMPTS, "max_tokens": 6, "temperature": 0}


@pytest.fixture
def http(engine: Any) -> Iterator[httpx.Client]:
    """A client that bears the engine's key."""
    headers = {"Authorization": f"Bearer {engine.key}"}
    with httpx.Client(base_url=engine.url, headers=headers, timeout=100) as client:
        yield client


def complete(http: httpx.Client, **more: Any) -> Any:
    reply = http.post("/v1/completions", json={**BODY, **more})
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_each_prompt_has_its_own_choice(http: httpx.Client) -> None:
    answer = complete(http)

    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    assert [choice["text"][:2] for choice in answer["choices"]] == [" 7", " G"]
    assert {choice["finish_reason"] for choice in answer["choices"]} == {"length"}
    assert answer["usage"]["completion_tokens"] == 12
    assert answer["object"] == "text_completion"


def test_one_prompt_may_come_as_a_text(http: httpx.Client) -> None:
    assert complete(http, prompt=PROMPTS[0])["choices"] == complete(http)["choices"][:1]


def test_a_stream_tells_whose_piece_it_is(http: httpx.Client) -> None:
    whole = complete(http)
    body = {**BODY, "stream": True, "stream_options": {"include_usage": True}}

    with http.stream("POST", "/v1/completions", json=body) as reply:
        *lines, done = [line for line in reply.iter_lines() if line]

    *chunks, last = [json.loads(line.removeprefix("data:")) for line in lines]
    pieces = [chunk["choices"][0] for chunk in chunks]
    texts = ["".join(p["text"] for p in pieces if p["index"] == place) for place in (0, 1)]
    assert texts == [choice["text"] for choice in whole["choices"]]
    assert [p["finish_reason"] for p in pieces if p["finish_reason"]] == ["length", "length"]
    assert [chunk["usage"]["completion_tokens"] for chunk in chunks if "usage" in chunk] == [6, 6]
    assert (last["choices"], last["usage"]) == ([], whole["usage"])
    assert done == "data: [DONE]"


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"suffix": "end"}, "suffix not supported"),
        ({"prompt": ["x"] * 5}, "batch size exceeded"),
        ({"prompt": []}, "validation"),
        ({"prompt": ["x", ""]}, "validation"),
        ({"prompt": [1, 2]}, "validation"),
        ({"prompt": ["x", "y " * 3000]}, "validation"),
        ({"echo": True}, "validation"),
        ({"max_tokens": 0}, "validation"),
    ],
)
def test_what_cannot_be_completed_is_refused(http: httpx.Client, more: Any, kind: str) -> None:
    reply = http.post("/v1/completions", json={**BODY, **more})

    assert (reply.status_code, reply.json()["error_type"]) == (422, kind)


def test_a_batch_of_which_one_is_refused_leaves_no_permit_taken(http: httpx.Client) -> None:
    for _ in range(130):  # more than there are permits
        http.post("/v1/completions", json={**BODY, "prompt": ["x", ""]})

    assert complete(http, max_tokens=1)["choices"]
