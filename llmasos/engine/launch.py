"""Starting an engine as a child process: for `LLM.from_pretrained`, single commands and tests.

The child takes a free port by itself and tells its address on a pipe. It ends when this process
does, however that ends, since its standard input closes then. Light: loads no model.
"""

import atexit
import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from dataclasses import asdict
from typing import IO

from llmasos.engine.serving import chosen, with_limits
from llmasos.errors import EngineUnavailable
from llmasos.settings import EngineSettings, Settings

START_SECONDS = 120.0
STOP_SECONDS = 10.0
_LAST_LINES = 20


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
        Raises UnknownModel, ModelMissing, or EngineUnavailable with its last lines.
        """
        served = chosen(settings, model, embeddings=embeddings)
        limited = with_limits(own or settings.engine)
        engine = limited.model_dump(mode="json") | {"port": 0, "api_key": key}
        plan = {"engine": engine, "served": asdict(served), "log_level": settings.log_level}
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "llmasos.engine"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # a Ctrl-C is meant for us, who end it in our own time
        )
        child = cls(process, key)
        try:
            child._tell(json.dumps(plan) + "\n")
            child.url = child._address()
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

    def _tell(self, line: str) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(line)
            stdin.flush()
        except BrokenPipeError:
            raise self._did_not_start("it ended at once") from None

    def _listen(self) -> None:
        """Take in what it says, so that it never waits for a reader."""
        lines: IO[str] | None = self._process.stderr
        assert lines is not None
        with lines:
            for line in lines:
                self._said.append(line.rstrip())

    def _address(self) -> str:
        """Wait for the address, which it tells once it answers."""
        said: queue.Queue[str] = queue.Queue()
        stdout = self._process.stdout
        assert stdout is not None
        threading.Thread(target=lambda: said.put(stdout.readline()), daemon=True).start()
        try:
            url = said.get(timeout=START_SECONDS).strip()
        except queue.Empty:
            reason = f"not ready after {START_SECONDS:.0f} s"
            raise self._did_not_start(reason) from None
        if not url:
            raise self._did_not_start(f"it ended with code {self._process.wait()}")
        return url

    def _did_not_start(self, reason: str) -> EngineUnavailable:
        if not self.alive():
            self._ears.join()
        said = self.last_lines()
        return EngineUnavailable("a process of its own", f"{reason}{': ' if said else ''}{said}")
