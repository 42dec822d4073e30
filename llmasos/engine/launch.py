"""Starting an engine as a child process, which ends with the process that started it.

The child takes a free port by itself and tells its address on a pipe. It ends when this process
does, however that ends, since its standard input closes then. An engine that outlives its starter
is `sharing.py`'s. Light: loads no model.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from collections import deque
from dataclasses import asdict
from select import select
from typing import IO, Any

from llmasos import errors
from llmasos.engine.serving import Served, chosen, with_limits
from llmasos.errors import EngineUnavailable, LLMasOSError
from llmasos.settings import EngineSettings, Settings

START_SECONDS = 120.0
STOP_SECONDS = 10.0
COMMAND = (sys.executable, "-P", "-m", "llmasos.engine")
_LAST_LINES = 20


def plan(
    settings: Settings, own: EngineSettings, served: Served, key: str | None
) -> dict[str, Any]:
    """What a child is told on its first line. own: the engine settings. key: its bearer token."""
    engine = own.model_dump(mode="json") | {"port": 0, "api_key": key}
    return {
        "engine": engine,
        "served": asdict(served),
        "log_level": settings.log_level,
        "shared": None,
    }


def told(stdout: IO[str]) -> str:
    """Wait for a child's address.

    Raises the error that it tells instead, TimeoutError after `START_SECONDS`, and EOFError when
    it ended without a word.
    """
    if not select([stdout], [], [], START_SECONDS)[0]:
        raise TimeoutError
    line = stdout.readline()
    if not line:
        raise EOFError
    answer = json.loads(line)
    if "error" in answer:
        kind: type[LLMasOSError] = getattr(errors, answer["error"])
        raise kind(*answer["args"])
    return str(answer["url"])


class EngineProcess:
    """A running engine of ours. End it with `stop` or by leaving its `with` block.

    url: its address. key: the bearer token that it asks for. pid: its process id.
    """

    def __init__(self, process: "subprocess.Popen[str]", key: str | None) -> None:
        self.url, self.key, self.pid = "", key, process.pid
        self._process = process
        self._owner = os.getpid()
        self._said: deque[str] = deque(maxlen=_LAST_LINES)
        self._ears = threading.Thread(target=self._listen, daemon=True)
        self._ears.start()
        atexit.register(self.stop)

    @classmethod
    def start(
        cls,
        settings: Settings,
        *,
        key: str | None = None,
        model: str | None = None,
        embeddings: bool = True,
        own: EngineSettings | None = None,
    ) -> "EngineProcess":
        """Start an engine on a free port and wait until it answers.

        key: the bearer token that it will ask for. model: a name or a GGUF file, else the
        settings' own. embeddings: whether it serves `/embed` too. own: other engine settings.
        Raises UnknownModel, ModelMissing, ModelError, or EngineUnavailable with its last lines.
        """
        served = chosen(settings, model, embeddings=embeddings)
        line = json.dumps(plan(settings, with_limits(own or settings.engine), served, key))
        process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # a Ctrl-C is meant for us, who end it in our own time
        )
        child = cls(process, key)
        try:
            child.url = child._address(line)
        except BaseException:
            child.stop()
            raise
        return child

    def __enter__(self) -> "EngineProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, at once if it does not end by itself in time. May be called twice."""
        if os.getpid() != self._owner:
            return  # a fork of the process that started it
        atexit.unregister(self.stop)
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        if not stdin.closed:
            stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._ears.join()
        stdout.close()

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def last_lines(self) -> str:
        """The last that it said."""
        return "\n".join(self._said)

    def _listen(self) -> None:
        """Take in what it says, so that it never waits for a reader."""
        lines: IO[str] | None = self._process.stderr
        assert lines is not None
        with lines:
            for line in lines:
                self._said.append(line.rstrip())

    def _address(self, line: str) -> str:
        """Tell it what to serve, and wait for the address, which it tells once it answers."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(line + "\n")
            stdin.flush()
            return told(stdout)
        except TimeoutError:
            raise self._did_not_start(f"not ready after {START_SECONDS:.0f} s") from None
        except (BrokenPipeError, EOFError):
            code = self._process.wait()
            raise self._did_not_start(f"it ended with code {code}") from None

    def _did_not_start(self, reason: str) -> EngineUnavailable:
        if not self.alive():
            self._ears.join()
        said = self.last_lines()
        return EngineUnavailable("a process of its own", f"{reason}{': ' if said else ''}{said}")
