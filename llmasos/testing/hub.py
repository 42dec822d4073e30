"""A stand-in for the Hugging Face Hub on this machine, with the ways in which one can fail."""

import hashlib
import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlparse

COMMIT = "c" * 40


@dataclass
class HubStandIn:
    """Every repository but `someone/missing` holds the same files.

    files: by name. card: the model card's head. gated: asks for the token `hf_good`.
    break_after: bytes after which each answer to come breaks off; set to None by the break.
    stall_after: bytes after which an answer waits until `go_on` is set.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)
    gguf: dict[str, Any] = field(default_factory=dict)
    commit: str = COMMIT
    gated: bool = False
    lies: bool = False
    break_after: int | None = None
    stall_after: int | None = None
    go_on: threading.Event = field(default_factory=threading.Event)
    stalled: threading.Event = field(default_factory=threading.Event)
    seen: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    url: str = ""

    def __enter__(self) -> Self:
        """Start it; `url` is its address from then on."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, also where it stalls."""
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()

    def downloads(self) -> list[str]:
        """The methods of the requests for files."""
        return [line.split()[0] for line in self.seen if "/resolve/" in line]

    def about(self) -> dict[str, Any]:
        """The repository as the Hub's API tells of it."""
        siblings = []
        for name, content in self.files.items():
            stated = hashlib.sha256(b"lie" if self.lies else content).hexdigest()
            large = name.endswith((".gguf", ".safetensors"))
            blob = b"blob %d\0" % len(content) + content
            git = hashlib.sha1(blob, usedforsecurity=False).hexdigest()
            said: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git}
            if large:
                said["lfs"] = {"sha256": stated, "size": len(content), "pointerSize": 130}
            siblings.append(said)
        return {
            "id": "someone/tiny",
            "sha": self.commit,
            "gated": "manual" if self.gated else False,
            "cardData": self.card,
            "gguf": self.gguf,
            "siblings": siblings,
        }


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, state: HubStandIn, *arguments: Any) -> None:
        self.state = state
        super().__init__(*arguments)

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self._answer(head=True)

    def do_GET(self) -> None:
        """Answer."""
        self._answer(head=False)

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def _answer(self, *, head: bool) -> None:
        hub, path = self.state, unquote(urlparse(self.path).path)
        hub.seen.append(f"{self.command} {path}")
        if "/missing" in path:
            self._refuse(404, "RepoNotFound")
        elif hub.gated and self.headers.get("Authorization") != "Bearer hf_good":
            self._refuse(403 if "Authorization" in self.headers else 401, "GatedRepo")
        elif path.startswith("/api/models/"):
            if path.endswith("/revision/gone"):
                self._refuse(404, "RevisionNotFound")
            else:
                self._send(json.dumps(hub.about()).encode(), {}, head=head)
        elif (name := path.partition("/resolve/")[2].partition("/")[2]) in hub.files:
            content = hub.files[name]
            etag = hashlib.sha256(content).hexdigest()
            self._send(content, {"ETag": f'"{etag}"', "X-Repo-Commit": hub.commit}, head=head)
        else:
            self._refuse(404, "EntryNotFound")

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: bytes, headers: dict[str, str], *, head: bool) -> None:
        hub, start = self.state, 0
        asked = self.headers.get("Range")
        if asked and not head:
            hub.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if not head:
            with suppress(ConnectionError):  # who asked has gone
                self._body(content[start:], is_file=bool(headers))

    def _body(self, content: bytes, *, is_file: bool) -> None:
        hub = self.state
        if is_file and hub.break_after is not None:
            self.wfile.write(content[: hub.break_after])
            hub.break_after = None
            self.close_connection = True
            return
        if is_file and hub.stall_after is not None:
            self.wfile.write(content[: hub.stall_after])
            self.wfile.flush()
            content, hub.stall_after = content[hub.stall_after :], None
            hub.stalled.set()
            hub.go_on.wait(60)
        self.wfile.write(content)
