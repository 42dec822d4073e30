"""Reading documents apart: a child process with bounds on time and memory, started when needed.

One bad document costs its own time limit and a new child, and is an UnreadableDocument like any
other. Knows the child's protocol, not what is in documents. Start reading at `Reader.read`.
"""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from signal import SIGXCPU
from types import TracebackType
from typing import Any, Self

from knowledge.documents import Document, Heading, Limits, Loader
from knowledge.loaders import OUT_OF_MEMORY, loader_of, read_document
from llmasos.errors import KnowledgeError, UnreadableDocument
from llmasos.settings import KnowledgeSettings

PIECE = 1 << 16
START_SECONDS = 60.0
"""How long a child may take to start."""
DYING_SECONDS = 5.0


class Reader:
    """Reads documents with the loaders of their endings; for one thread at a time."""

    def __init__(self, loaders: Mapping[str, Loader], settings: KnowledgeSettings) -> None:
        self._loaders = loaders
        self._settings = settings
        self._limits = Limits(settings.max_pages, settings.max_unpacked_bytes, settings.max_text)
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def read(self, path: Path) -> Document:
        """Read a file. Raises UnreadableDocument."""
        loader = loader_of(path, self._loaders)
        if not loader.apart:
            return read_document(path, loader, self._limits)
        return _document(self._ask({"path": str(path)}, path)["document"])

    def unpack(self, path: Path, into: Path) -> list[str]:
        """Unpack a zip archive into an empty folder and return its members' names.

        Raises UnreadableDocument.
        """
        asked = {"path": str(path), "into": str(into), "files": self._settings.max_files}
        members: list[str] = self._ask(asked, path)["members"]
        return members

    def close(self) -> None:
        """End the child."""
        if self._child:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _ask(self, asked: dict[str, Any], path: Path) -> dict[str, Any]:
        """The child's answer. Raises UnreadableDocument when it has none."""
        late = (
            f"reading it takes more than {self._settings.parse_seconds:.0f} seconds "
            "(knowledge.parse_seconds); split it"
        )
        if self._child is None:
            self._start()
        try:
            line = self._exchange(asked, self._settings.parse_seconds)
        except TimeoutError:
            self.close()
            raise UnreadableDocument(path.name, late) from None
        except (OSError, EOFError):
            died = f"its reader died of it, or {OUT_OF_MEMORY}"
            reason = late if self._ended() == -SIGXCPU else died
            raise UnreadableDocument(path.name, reason) from None
        answer: dict[str, Any] = json.loads(line)
        if "reason" in answer:
            raise UnreadableDocument(path.name, answer["reason"])
        return answer

    def _ended(self) -> int | None:
        """How the child ended that does not answer any more."""
        assert self._child is not None
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(DYING_SECONDS)
        ended = self._child.returncode
        self.close()
        return ended

    def _start(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "knowledge.loaders.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries' warnings quote documents
            cwd=Path(__file__).parents[1],
            env={},
        )
        start = {
            "path": sys.path,
            "limits": asdict(self._limits),
            "seconds": self._settings.parse_seconds,
            "memory": self._settings.parse_memory,
        }
        try:
            self._exchange(start, START_SECONDS)
        except (OSError, EOFError) as error:  # TimeoutError is an OSError
            self.close()
            raise KnowledgeError("The process that reads documents cannot be started.") from error

    def _exchange(self, said: dict[str, Any], patience: float) -> bytes:
        """Say something and wait for a line. Raises TimeoutError, or EOFError when it ends."""
        assert self._child is not None
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(said).encode() + b"\n")
        self._child.stdin.flush()
        until = time.monotonic() + patience
        answer = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.stdout, selectors.EVENT_READ)
            while not answer.endswith(b"\n"):
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise TimeoutError
                piece = os.read(self._child.stdout.fileno(), PIECE)
                if not piece:
                    raise EOFError
                answer += piece
        return bytes(answer)


def _document(plain: dict[str, Any]) -> Document:
    """The document that the child has sent."""
    return Document(
        title=plain["title"],
        text=plain["text"],
        headings=tuple(Heading(**each) for each in plain["headings"]),
        anchors=tuple((position, fragment) for position, fragment in plain["anchors"]),
        begin=plain["begin"],
        code=plain["code"],
    )
