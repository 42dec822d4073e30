"""What the engine refuses, and in which form: keys, bodies, limits."""

from typing import Any

import httpx
import pytest


@pytest.fixture
def post(engine: Any) -> Any:
    """Posts to the engine with its key."""

    def send(path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {engine.key}"}
        return httpx.post(engine.url + path, json=body, headers=headers, timeout=60, **more)

    return send


@pytest.mark.parametrize("path", ["/generate", "/generate_stream", "/"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"inputs": ""}, "Input validation error: `inputs` cannot be empty"),
        (
            {"inputs": "x", "parameters": {"max_new_tokens": 5000}},
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. "
            "Given: 1 `inputs` tokens and 5000 `max_new_tokens`",
        ),
        (
            {"inputs": "x", "parameters": {"temperature": 0}},
            "Input validation error: `temperature` must be strictly positive",
        ),
        (
            {"inputs": "x", "parameters": {"grammar": {"type": "regex", "value": "(a"}}},
            'Input validation error: grammar is not valid: invalid regex "(a" (in regex): '
            "regex parse error: unclosed group",
        ),
    ],
)
def test_an_invalid_request_is_answered_as_tgi_does(
    post: Any, path: str, body: Any, said: str
) -> None:
    reply = post(path, body)

    assert reply.status_code == 422
    assert reply.json() == {"error": said, "error_type": "validation"}


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{nope", 400),
        (b"[" * 100_000, 400),
        (b'{"inputs": NaN}', 400),
        (b"[]", 422),
        (b'{"inputs": 3}', 422),
        (b'{"inputs": "x", "parameters": {"seed": -1}}', 422),
        (b'{"inputs": "x", "parameters": {"max_new_tokens": 1e400}}', 400),
        (b'{"inputs": "' + b"x" * 4_000_000 + b'"}', 413),
    ],
)
def test_a_malformed_body_is_answered_with_what_is_wrong(
    engine: Any, content: bytes, status: int
) -> None:
    headers = {"Authorization": f"Bearer {engine.key}"}

    reply = httpx.post(f"{engine.url}/generate", content=content, headers=headers, timeout=60)

    assert reply.status_code == status
    assert reply.json()["error_type"] == "validation"


def test_only_health_is_open_without_the_key(engine: Any) -> None:
    codes = {
        path: httpx.get(engine.url + path).status_code
        for path in ("/health", "/info", "/metrics", "/v1/models", "/nowhere")
    }

    assert codes == {
        "/health": 200,
        "/info": 401,
        "/metrics": 401,
        "/v1/models": 401,
        "/nowhere": 401,
    }


def test_a_wrong_key_is_refused_in_words(engine: Any) -> None:
    reply = httpx.get(f"{engine.url}/info", headers={"Authorization": "Bearer wrong"})

    assert reply.json()["error"].startswith("Unauthorized")
