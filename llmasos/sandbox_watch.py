"""Watching a run from outside: its output as it comes, its time, memory and processes.

Limits that the kernel keeps for each process alone are kept here for all of them together. Used by
`sandbox.py`; knows only a started process. Start reading at `Watch.result`.
"""

import os
import selectors
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

POLL = 0.05
"""Seconds between two looks at the limits."""
PAGE = os.sysconf("SC_PAGE_SIZE")
CHUNK = 1 << 16

KilledBy = Literal["time", "memory", "processes", "output"]


@dataclass(frozen=True)
class Bounds:
    """What all processes of a run may use together; see `sandbox.Limits`."""

    seconds: float
    memory: int
    processes: int
    output: int


@dataclass
class Watch:
    """One running sandbox."""

    process: "subprocess.Popen[bytes]"
    bounds: Bounds
    checkpoint: Callable[[], None]
    begun: float = field(default_factory=time.monotonic)
    captured: dict[str, bytearray] = field(
        default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()}
    )

    def result(self) -> KilledBy | None:
        """Read until the run is over or passes a limit; gives that limit. Kills nothing itself.

        Whatever `checkpoint` raises goes through.
        """
        with selectors.DefaultSelector() as ready:
            for name in self.captured:
                pipe = getattr(self.process, name)
                os.set_blocking(pipe.fileno(), False)
                ready.register(pipe, selectors.EVENT_READ, name)
            looked = 0.0
            while ready.get_map() or self.process.poll() is None:
                for key, _ in ready.select(POLL):
                    if not self._read(key.fd, key.data):
                        ready.unregister(key.fileobj)
                if any(len(text) > self.bounds.output for text in self.captured.values()):
                    return "output"
                if time.monotonic() - looked >= POLL:
                    self.checkpoint()
                    if passed := self._passed():
                        return passed
                    looked = time.monotonic()
                if not ready.get_map():
                    self._wait()
        return None

    def _wait(self) -> None:
        """The pipes are shut: wait a moment for the process itself."""
        try:
            self.process.wait(POLL)
        except subprocess.TimeoutExpired:
            return

    def _read(self, descriptor: int, name: str) -> bool:
        """Take what is there; False at the end."""
        chunk = os.read(descriptor, CHUNK)
        self.captured[name] += chunk
        return bool(chunk)

    def _passed(self) -> KilledBy | None:
        """The limit that is passed at this moment."""
        if self.seconds > self.bounds.seconds:
            return "time"
        threads, memory = used_by(self.process.pid)
        if threads > self.bounds.processes + OURS:
            return "processes"
        return "memory" if memory > self.bounds.memory else None

    @property
    def seconds(self) -> float:
        """Wall time since the start."""
        return time.monotonic() - self.begun

    def text(self, name: str) -> str:
        """What was written, at most as much as may be."""
        return self.captured[name][: self.bounds.output].decode(errors="replace")


OURS = 3
"""Bubblewrap's own processes around the code."""


def used_by(root: int) -> tuple[int, int]:
    """Threads and resident bytes of a process and all its descendants."""
    children: dict[int, list[int]] = {}
    use: dict[int, tuple[int, int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            pid = int(folder.name)
            children.setdefault(int(fields[1]), []).append(pid)
            use[pid] = (int(fields[17]), int(fields[21]) * PAGE)
    threads = memory = 0
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        own = use.get(pid, (0, 0))
        threads, memory = threads + own[0], memory + own[1]
    return threads, memory
