"""The weather of `storm.py`: kills and hangs the parts of a running system at random.

A part is killed by SIGKILL, or hung by SIGSTOP and let go again. Slack and those who listen for
callbacks are in the storm's own process: Slack is away for a while, or single calls go wrong.
Start reading at `Weather.blow`.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from llmasos.testing.slack import SlackStandIn
from llmasos.testing.slack.faults import Fault

BETWEEN = 1.2
"""Seconds between two blows, on average."""
LONGEST_HANG = 4.0
"""Seconds: longer than a lease in the storm, so that workers lose jobs while they live."""
WRITES = ("chat.postMessage", "chat.update", "chat.startStream", "chat.stopStream")
FAULTS: Sequence[Callable[[], Fault]] = (
    lambda: Fault.resets(done=True),
    lambda: Fault.resets(done=False),
    lambda: Fault.breaks(done=True),
    lambda: Fault.limits(1.0),
)


class Weather:
    """What goes wrong, and how often it did.

    chance: where all chance comes from; pids: gives the processes by the names of their parts;
    spared: parts that are left alone, `slack` among them.
    """

    def __init__(
        self,
        chance: random.Random,
        pids: Callable[[], dict[str, int]],
        slack: SlackStandIn,
        spared: Collection[str],
    ) -> None:
        self._chance, self._pids, self._slack, self._spared = chance, pids, slack, spared
        self._slack_back = 0.0
        self._timers: list[threading.Timer] = []
        self.blows: Counter[str] = Counter()

    def blow(self, seconds: float) -> None:
        """Let things go wrong for so long, then let all go on that was stopped."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(min(self._chance.expovariate(1 / BETWEEN), 3 * BETWEEN))
            self._strike()
        for timer in self._timers:
            timer.join()

    def _strike(self) -> None:
        pids = self._pids()
        what = self._chance.choice(sorted({*pids, "slack"} - {*self._spared}))
        kind = what.rstrip("-0123456789")
        hard = self._chance.random() < 0.5
        seconds = self._chance.uniform(0.5, LONGEST_HANG)
        if what == "slack":
            self._strike_slack(hard, seconds)
        elif hard:
            _tell(pids[what], signal.SIGKILL)
            self.blows[f"{kind} killed"] += 1
        else:
            _tell(pids[what], signal.SIGSTOP)
            self._later(seconds, lambda: _tell(pids[what], signal.SIGCONT))
            self.blows[f"{kind} hung"] += 1

    def _strike_slack(self, dead: bool, seconds: float) -> None:
        if self._chance.random() < 0.5:
            self._slack.fail(self._chance.choice(WRITES), self._chance.choice(FAULTS)())
            self.blows["slack call went wrong"] += 1
            return
        if time.monotonic() < self._slack_back:
            return  # it is away already
        self._slack_back = time.monotonic() + seconds + 0.5
        stop, start = (
            (self._slack.close_door, self._slack.open_door)
            if dead
            else (self._slack.hang, self._slack.go_on)
        )
        stop()
        self._later(seconds, start)
        self.blows["slack killed" if dead else "slack hung"] += 1

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._timers.append(threading.Timer(seconds, act))
        self._timers[-1].start()


def _tell(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):  # it died meanwhile
        os.kill(pid, number)
