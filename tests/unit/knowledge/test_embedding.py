"""The embedding client against a real server on loopback: batches, order, refusals."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from knowledge import embedding
from knowledge.embedding import HttpEmbedder, Server
from llmasos.errors import EngineOverloaded, EngineRejected, EngineUnavailable
from llmasos.processes import free_port


class Embeddings(ThreadingHTTPServer):
    """Answers `/embed` with each text's length, or as it is told to."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = []
        self.batches = []
        self.keys = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.batches.append(body["inputs"])
        self.server.keys.append(self.headers["Authorization"])
        vectors = json.dumps([[len(text), 1.0, 0.0] for text in body["inputs"]])
        status, answer = self.server.answers.pop(0) if self.server.answers else (200, vectors)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Embeddings() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def embedder(server):
    made = HttpEmbedder(lambda: Server(f"{server.url}/", "sesame"), "model")
    yield made
    made.close()


def test_vectors_come_in_the_order_of_the_texts_from_batches_of_like_length(server, embedder):
    texts = ["x" * (1 + number * 7 % 100) for number in range(100)]

    vectors = embedder.embed(texts)

    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.allclose(vectors[:, 0] / vectors[:, 1], [len(text) for text in texts], rtol=1e-4)
    batches = sorted(server.batches, key=lambda batch: len(batch[0]))  # they come as they like
    assert [len(batch) for batch in batches] == [32, 32, 32, 4]
    assert max(map(len, batches[0])) <= min(map(len, batches[1]))
    assert set(server.keys) == {"Bearer sesame"}


def test_an_overloaded_server_is_asked_again(server, embedder, monkeypatch):
    monkeypatch.setattr(embedding, "PATIENCE", (0.01, 0.01))
    server.answers = [(429, "{}"), (429, "{}")]

    assert len(embedder.embed(["a"])) == 1


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        ((429, "{}"), EngineOverloaded, "overloaded"),
        ((401, "{}"), EngineRejected, "refuses the key"),
        ((503, ""), EngineUnavailable, "HTTP 503"),
        ((413, '{"error": "too large", "input": "secret"}'), EngineRejected, "413 too large$"),
        ((200, "<html>"), EngineRejected, "no JSON"),
        ((200, "[[1, 2]]"), EngineRejected, "one vector a text"),
        ((200, "[[1, 2], [1]]"), EngineRejected, "uneven"),
        ((200, '[["a"], ["b"]]'), EngineRejected, "uneven"),
        ((200, "[[NaN], [1]]"), EngineRejected, "no JSON"),
        ((200, "[1, 2]"), EngineRejected, "no vectors"),
    ],
)
def test_what_a_server_does_wrong_is_said(server, embedder, monkeypatch, answer, error, said):
    monkeypatch.setattr(embedding, "PATIENCE", (0.0,))
    server.answers = [answer] * 2

    with pytest.raises(error, match=said):
        embedder.embed(["one", "two"])


def test_a_server_that_is_not_there_is_unavailable():
    nowhere = HttpEmbedder(lambda: Server(f"http://127.0.0.1:{free_port()}"), "model")

    with pytest.raises(EngineUnavailable, match="does not answer"):
        nowhere.embed(["a"])


def test_without_a_system_the_settings_say_how_to_start_one(make_settings):
    embedder = HttpEmbedder.from_settings(make_settings())

    with pytest.raises(EngineUnavailable, match="llmasos up"):
        embedder.embed(["a"])
