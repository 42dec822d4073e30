"""Web pages: fetched within bounds, and never from where only this network reaches."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from knowledge import KnowledgeBase
from knowledge.pages import fetch
from llmasos.errors import UnreadableDocument
from llmasos.request import LOCAL
from llmasos.settings import KnowledgeSettings
from llmasos.testing.retrieval import HashingEmbedder

PAGE = "<title>Help</title><nav>Menu</nav><main><h1>Refunds</h1><p>Within two weeks.</p></main>"
OPEN = KnowledgeSettings(allow_private_pages=True, max_file_bytes=100_000, page_seconds=2.0)


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        kind, location, body = "text/html; charset=utf-8", None, PAGE.encode()
        if self.path == "/away":
            location = "http://[::1]:9/"
        elif self.path == "/file":
            location = "file:///etc/passwd"
        elif self.path == "/round":
            location = "/round"
        elif self.path == "/moved":
            location = "/help/refunds"
        elif self.path == "/large":
            body = b"x" * 200_000
        elif self.path.startswith("/private"):
            body = PAGE.replace("two", "three").encode()
        elif self.path == "/notes":
            kind, body = "text/plain", b"Plain notes."
        self.send_response(302 if location else 404 if self.path == "/missing" else 200)
        if location:
            self.send_header("Location", location)
        if self.path == "/packed":
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", kind)
        self.end_headers()
        for byte in range(20) if self.path == "/slow" else ():
            self.wfile.write(b"%d" % byte)
            time.sleep(0.5)
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def site():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/help/refunds", "127.0.0.1/help/refunds.html"),
        ("/", "127.0.0.1/index.html"),
        ("/a/../b%2Fc/?q=1", "127.0.0.1/a/b/c/index.html"),
        ("/notes", "127.0.0.1/notes.txt"),
        ("/moved", "127.0.0.1/moved.html"),
    ],
)
def test_a_page_is_fetched_and_named_after_its_address(site, tmp_path, path, name):
    page = fetch(site + path, tmp_path, OPEN)

    assert page.name == name
    assert page.path.parent == tmp_path
    assert page.path.stat().st_size > 0


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/missing", "its server answers 404"),
        ("/large", "more than 100,000 bytes"),
        ("/packed", "compressed"),
        ("/round", "redirects more than 5 times"),
        ("/file", "not http or https"),
        ("/slow", "more than 2 seconds"),
    ],
)
def test_a_page_that_cannot_be_had_says_why(site, tmp_path, path, said):
    with pytest.raises(UnreadableDocument, match=said):
        fetch(site + path, tmp_path, OPEN)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/", "http://localhost:1/", "http://[::1]:1/", "http://10.0.0.5/",
        "http://169.254.169.254/latest/meta-data", "http://[::ffff:127.0.0.1]:1/",
        "http://0.0.0.0:1/", "http://2130706433/",
    ],
)  # fmt: skip
def test_private_addresses_are_refused_before_a_connection(tmp_path, url):
    with pytest.raises(UnreadableDocument, match="is a private address"):
        fetch(url, tmp_path, KnowledgeSettings())


def test_a_redirect_to_a_private_address_is_refused(site, tmp_path, monkeypatch):
    judged = iter([True, False])
    monkeypatch.setattr("knowledge.pages.is_public", lambda _: next(judged))

    with pytest.raises(UnreadableDocument, match="is a private address"):
        fetch(f"{site}/away", tmp_path, KnowledgeSettings())


def test_a_page_is_mirrored_and_read_without_its_menu(site, tmp_path):
    knowledge = KnowledgeBase(tmp_path / "knowledge", HashingEmbedder(), OPEN)

    knowledge.sync("help", [f"{site}/help/refunds"])

    (document,) = knowledge.documents("help")
    assert (document.source, document.title) == ("127.0.0.1/help/refunds.html", "Refunds")
    assert knowledge.sync("help").unchanged == [document.source]


def test_a_passage_of_a_page_leads_to_it_unless_its_address_holds_a_secret(site, tmp_path):
    knowledge = KnowledgeBase(tmp_path / "knowledge", HashingEmbedder(), OPEN)
    note = tmp_path / "refunds.txt"
    note.write_text("Refunds take two weeks.")
    open_page, secret = f"{site}/help/refunds", f"{site}/private?token=abc"

    knowledge.sync("help", [open_page, secret, str(note)])

    found = knowledge.search("refunds", collections=["help"], principal=LOCAL, k=3)
    assert {each.source.rpartition("/")[2]: each.url for each in found} == {
        "refunds.html": open_page,
        "private.html": None,
        "refunds.txt": None,
    }
