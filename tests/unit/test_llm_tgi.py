"""The fence around the TGI client: its errors, and servers that misbehave."""

import inspect
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from text_generation import errors as theirs

from llmasos.completions import without_stop
from llmasos.errors import (
    EngineError,
    EngineOverloaded,
    EngineRejected,
    EngineUnavailable,
    GenerationFailed,
)
from llmasos.generation import Message, Options, Piece
from llmasos.processes import free_port
from llmasos.tgi import TGIBackend, chat_parameters, parameters, translated

ASK = [Message(role="user", content="Hi")]
Serve = Callable[[int, bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that answers everything the same way."""
    servers = []

    def start(status: int, body: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def chunk(text: str, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def said(url: str, options: Options | None = None) -> str:
    backend = TGIBackend(url, connect_timeout=1)
    try:
        return "".join(piece.text for piece in backend.chat(ASK, options or Options()))
    finally:
        backend.close()


@pytest.mark.parametrize(
    "error",
    [
        kind
        for _, kind in inspect.getmembers(theirs, inspect.isclass)
        if issubclass(kind, Exception)
    ],
)
def test_every_error_of_the_client_is_one_of_ours(error: type[Exception]) -> None:
    assert isinstance(translated(error("x"), "http://tgi"), EngineError)


@pytest.mark.parametrize(
    ("status", "payload", "expected"),
    [
        (422, {"error": "x", "error_type": "validation"}, EngineRejected),
        (422, {"error": "x", "error_type": "template_error"}, EngineRejected),
        (401, {}, EngineRejected),
        (429, {"error": "x", "error_type": "overloaded"}, EngineOverloaded),
        (424, {"error": "x", "error_type": "generation"}, GenerationFailed),
        (503, {"error": {"message": "x"}}, EngineUnavailable),
        (502, "<html>Bad gateway</html>", EngineUnavailable),
        (200, {"error": "x", "error_type": "overloaded"}, EngineOverloaded),
    ],
)
def test_a_refusal_is_understood_in_any_form(
    serve: Serve, status: int, payload: Any, expected: type[EngineError]
) -> None:
    plain = json.dumps(payload).encode()
    url = serve(status, b"data:" + plain + b"\n\n" if status == 200 else plain)

    with pytest.raises(expected):
        said(url)


def test_a_server_that_is_away_is_named() -> None:
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(EngineUnavailable, match=url):
        said(url)


def test_a_text_that_breaks_off_is_no_answer(serve: Serve) -> None:
    with pytest.raises(GenerationFailed, match="broke off"):
        said(serve(200, chunk("Hel")))


def test_greedy_is_said_in_the_way_that_each_route_takes() -> None:
    options = Options(temperature=0, top_p=1.0, seed=3)

    assert "temperature" not in parameters(options)
    assert parameters(options)["do_sample"] is False
    assert chat_parameters(options)["temperature"] == 0
    assert "top_p" not in chat_parameters(options)


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["a", " E", "ND"], "a "),
        (["a E", "N", "d"], "a ENd"),
        (["END"], ""),
        (["xE"], "xE"),
    ],
)
def test_a_stop_sequence_is_never_shown(pieces: list[str], shown: str) -> None:
    *first, last = pieces
    stream = iter([*(Piece(text=p) for p in first), Piece(text=last, finish_reason="x")])

    texts = [p.text for p in without_stop((p for p in stream), ["END"])]

    assert "".join(texts) == shown
