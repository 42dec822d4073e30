"""Watching a run from outside: its output as it comes, its time, memory and processes.

Limits that the kernel keeps for each process alone are kept here for all of them together. Used by
`sandbox.py`; knows only a started process. Start reading at `Watch.result`.
"""

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

POLL = 0.05
"""Seconds between two looks at the limits."""
PAGE = os.sysconf("SC_PAGE_SIZE")
CHUNK = 1 << 16

KilledBy = Literal["time", "memory", "processes", "output", "files"]


@dataclass(frozen=True)
class Bounds:
    """What all processes of a run may use together; see `sandbox.Limits`."""

    seconds: float
    memory: int
    processes: int
    output: int
    files: int
    folders: tuple[str, ...]
    """Where files are counted, as the code sees it."""
    folder_size: int
    """Bytes that each of these holds, by which they are told from this machine's own."""


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
        processes, threads, memory = used_by(self.process.pid)
        if threads > self.bounds.processes + OURS:
            return "processes"
        if memory > self.bounds.memory:
            return "memory"
        return "files" if self._files(processes) > self.bounds.files else None

    def _files(self, processes: Sequence[int]) -> int:
        """Files and folders that the code has made: one of the processes is inside by now."""
        return max((self._files_seen_by(pid) for pid in processes), default=0)

    def _files_seen_by(self, pid: int) -> int:
        found = 0
        for folder in self.bounds.folders:
            try:
                seen = os.statvfs(f"/proc/{pid}/root{folder}")
            except OSError:  # it ended meanwhile, or is not inside yet
                continue
            if abs(seen.f_blocks * seen.f_frsize - self.bounds.folder_size) < PAGE:
                found += seen.f_files - seen.f_ffree
        return found

    @property
    def seconds(self) -> float:
        """Wall time since the start."""
        return time.monotonic() - self.begun

    def text(self, name: str) -> str:
        """What was written, at most as much as may be."""
        return self.captured[name][: self.bounds.output].decode(errors="replace")


OURS = 3
"""Bubblewrap's own processes around the code."""


def used_by(root: int) -> tuple[list[int], int, int]:
    """A process and all its descendants, and their threads and resident bytes."""
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
    found, threads, memory = [root], 0, 0
    for pid in found:
        found += children.get(pid, [])
        own = use.get(pid, (0, 0))
        threads, memory = threads + own[0], memory + own[1]
    return found, threads, memory
