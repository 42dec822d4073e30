"""The supervisor: starts the parts of a system, restarts what dies, stops them in order.

What `llmasos up` runs. Knows processes, not what they do. Start reading at `Supervisor.run`.
"""

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from llmasos.processes import TETHER
from llmasos.settings import environment

log = structlog.get_logger()

PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the first, second … restart; the last one from then on."""
HEALTHY = 30.0
"""A part that ran for so many seconds begins anew with the first pause."""


@dataclass(frozen=True)
class Part:
    """A process of the system."""

    name: str
    command: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of its own: what must not be seen in a list of processes."""
    stage: int = 1
    """Parts of the highest stage are stopped first."""
    patience: float = 8.0
    """Seconds that it gets to stop before it is killed."""


class _Child:
    """One part's process, now and after each restart.

    kept: whether it is started again when it dies. said: its last line. kill_at: when a part that
    was asked to stop is made to.
    """

    def __init__(self, part: Part, *, kept: bool = True) -> None:
        self.part, self.kept, self.said = part, kept, ""
        self.kill_at: float | None = None
        self.process: subprocess.Popen[str] | None = None
        self.restarts = 0
        self.started = 0.0
        self.due = 0.0

    def start(self) -> None:
        """Start the part's process, its lines brought into the log."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            list(self.part.command),
            env=environment(**self.part.variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops all in order
            preexec_fn=TETHER,
        )
        threading.Thread(target=self._relay, args=(self.process,), daemon=True).start()

    def _relay(self, process: subprocess.Popen[str]) -> None:
        """Bring the part's lines into the one log, each with its name."""
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if line.strip():
                    self.said = line.strip()
                    sys.stderr.write(f"{self.part.name:<9}│ {line.rstrip()}\n")
                    sys.stderr.flush()

    def died(self) -> bool:
        """Whether it has ended; plans the restart when it is first seen."""
        if self.process is None or self.process.poll() is None:
            return False
        code = self.process.returncode
        if time.monotonic() - self.started > HEALTHY:
            self.restarts = 0
        pause = PAUSES[min(self.restarts, len(PAUSES) - 1)]
        self.due = time.monotonic() + pause
        self.restarts += 1
        self.process = None
        if self.kill_at is not None:
            log.info("part.ended", part=self.part.name, code=code)
        else:
            again = {"restart_in": pause} if self.kept else {}
            log.warning("part.died", part=self.part.name, code=code, **again)
        return True

    def waits(self) -> bool:
        """Whether its restart is due."""
        return self.process is None and time.monotonic() >= self.due

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def join(self, deadline: float) -> None:
        """Wait for its end, and make it end at the deadline."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("part.killed", part=self.part.name)
            self.process.kill()
            self.process.wait()


class Supervisor:
    """Runs parts until it is told to stop.

    parts: what to run, in the order of starting.
    changed: called with the process ids, by name, whenever one has changed.
    """

    def __init__(self, parts: Sequence[Part], changed: Callable[[dict[str, int]], None]) -> None:
        self._children = [_Child(part) for part in parts]
        self._changed = changed
        self._stop = threading.Event()
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._ended: dict[str, str] = {}

    def stop(self) -> None:
        """Ask it to stop; may be called from a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Start everything and watch over it until `stop`; returns when all have ended."""
        try:
            for child in self._children:
                child.start()
            self._report()
            while not self._stop.wait(0.1):
                while not self._orders.empty():  # done here, since parts die with their thread
                    self._orders.get()()
                self._look_after()
        finally:
            self._end()

    def add(self, part: Part) -> None:
        """Start one more part, on trial: if it dies it is not started again. From any thread."""
        self._ended.pop(part.name, None)
        self._orders.put(lambda: self._begin(_Child(part, kept=False)))

    def swap(self, old: str, new: str) -> None:
        """From now on `new` is started again when it dies, and `old` is not. From any thread."""
        self._orders.put(lambda: self._keep(old, new))

    def retire(self, name: str) -> None:
        """Ask a part to stop, for good; it is killed after its patience. From any thread."""
        self._orders.put(lambda: self._dismiss(name))

    def ended(self, name: str) -> str | None:
        """The last line of a part that has ended and is not started again; None for all others."""
        return self._ended.get(name)

    def _begin(self, child: _Child) -> None:
        self._children.append(child)
        child.start()
        self._report()

    def _keep(self, old: str, new: str) -> None:
        for child in self._children:
            child.kept = child.part.name == new or (child.kept and child.part.name != old)

    def _dismiss(self, name: str) -> None:
        for child in self._children:
            if child.part.name == name:
                child.kept, child.kill_at = False, time.monotonic() + child.part.patience
                child.stop()

    def _look_after(self) -> None:
        """Start again what has died, and take leave of what should."""
        for child in list(self._children):
            if child.kill_at is not None and time.monotonic() > child.kill_at:
                child.join(0.0)
            if child.died() or child.process is None:
                if not child.kept:
                    self._children.remove(child)
                    self._ended[child.part.name] = child.said
                    self._report()
                elif child.waits():
                    child.start()
                    log.info("part.restarted", part=child.part.name)
                    self._report()

    def _report(self) -> None:
        self._changed({c.part.name: c.process.pid for c in self._children if c.process is not None})

    def _end(self) -> None:
        """Stop stage by stage, the highest first, so that what others stand on goes last."""
        for stage in sorted({child.part.stage for child in self._children}, reverse=True):
            group = [child for child in self._children if child.part.stage == stage]
            for child in group:
                child.stop()
            begun = time.monotonic()
            for child in group:
                child.join(begun + child.part.patience)
