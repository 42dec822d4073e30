"""Doubles for what a job touches: its journals and the places its answers go to.

`RecordingChannel` keeps what it was asked to show; `MemoryPostJournal` and `MemoryJournal` do in
memory what `workers.journal` does in the database.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from llmasos.channels import Draft, Journal, Outcome, Posted, Turnover
from llmasos.errors import LeaseLost
from llmasos.events import Approval, Reply
from llmasos.tools import Tool


class MemoryJournal:
    """Remembers the calls of tools with effects: a `turn.ToolJournal`.

    Hand the same one to a second turn to play a job that is run again.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any], str]] = []
        self._replayed = 0

    def call(self, tool: Tool, arguments: dict[str, Any]) -> str:
        """Call the tool, or give the result of the same call made before."""
        if not tool.effect:
            return tool.call(arguments)
        earlier = self.calls[self._replayed :]
        if earlier and earlier[0][:2] == (tool.name, arguments):
            self._replayed += 1
            return earlier[0][2]
        result = tool.call(arguments)
        self.calls.append((tool.name, arguments, result))
        self._replayed = len(self.calls)
        return result

    def rerun(self) -> None:
        """From here on the calls are those of another attempt."""
        self._replayed = 0


class MemoryPostJournal:
    """What was posted for one job at one address: a `channels.Journal`.

    attempt: the job's attempt that writes. others: messages that other jobs' rows know.
    """

    def __init__(self, job_id: str = "job", attempt: int = 1, others: Sequence[str] = ()) -> None:
        self._job_id, self.attempt = job_id, attempt
        self._others = set(others)
        self._rows: dict[int, Posted] = {}
        self.lost = False
        """Set it to play a worker whose job was taken over: every method raises then."""

    def rows(self) -> Sequence[Posted]:
        """All messages of this job at this address, by part."""
        self.check()
        return [self._rows[part] for part in sorted(self._rows)]

    def begin(self, part: int, *, streaming: bool) -> None:
        """Note that a message is about to be created."""
        self.check()
        self._rows[part] = Posted(part, "posting", None, streaming, self.attempt, time.time())

    def opened(self, part: int, external_id: str, *, streaming: bool) -> None:
        """Note the place's name of it."""
        self._change(part, state="open", external_id=external_id, streaming=streaming)

    def dropped(self, part: int) -> None:
        """Note that it was surely not created."""
        self.check()
        del self._rows[part]

    def closed(self, part: int) -> None:
        """Note that it has its last content."""
        self._change(part, state="closed", streaming=False)

    def known(self, external_ids: Sequence[str]) -> set[str]:
        """Which of these messages any job's row knows."""
        own = {row.external_id for row in self._rows.values()}
        return {each for each in external_ids if each in own | self._others}

    def check(self) -> None:
        """Raises LeaseLost once `lost` is set."""
        if self.lost:
            raise LeaseLost(self._job_id, self.attempt)

    def _change(self, part: int, **changes: Any) -> None:
        self.check()
        if part in self._rows:
            self._rows[part] = replace(self._rows[part], attempt=self.attempt, **changes)


class RecordingChannel:
    """A place that keeps what it is shown: a `channels.Channel`.

    scheme: the part of its addresses before the colon; interval: its posts' own; before_finish:
    called before an outcome is taken, raise in it to refuse.
    """

    def __init__(
        self,
        scheme: str = "test",
        interval: float = 0.0,
        before_finish: Callable[[str], None] = lambda address: None,
    ) -> None:
        self.scheme, self.interval, self.before_finish = scheme, interval, before_finish
        self.drafts: list[tuple[str, Draft]] = []
        self.outcomes: list[tuple[str, str, Outcome]] = []
        """(address, job, outcome) in the order in which they came."""
        self._lock = threading.Lock()

    def open(self, address: str, turn: Turnover, journal: Journal) -> "RecordingPost":
        """A post that writes here."""
        return RecordingPost(self, address, turn, journal)

    def texts(self) -> list[str]:
        """The texts of all outcomes, in order."""
        with self._lock:
            return [_words(outcome) for _, _, outcome in self.outcomes]

    def by_address(self) -> dict[str, str]:
        """The text that stands at each address in the end."""
        with self._lock:
            return {address: _words(outcome) for address, _, outcome in self.outcomes}

    def record(self, address: str, job_id: str, outcome: Outcome) -> None:
        """Keep an outcome."""
        with self._lock:
            self.outcomes.append((address, job_id, outcome))


class RecordingPost:
    """One turn's message in a `RecordingChannel`; it honours the journal, as a real one must."""

    def __init__(
        self, channel: RecordingChannel, address: str, turn: Turnover, journal: Journal
    ) -> None:
        self._channel, self._address, self._turn, self._journal = channel, address, turn, journal
        self.interval = channel.interval

    def show(self, draft: Draft) -> None:
        """Keep the draft."""
        self._journal.check()
        self._channel.drafts.append((self._address, draft))

    def finish(self, outcome: Outcome) -> None:
        """Keep the outcome, unless the journal says that it was kept before."""
        if any(row.state == "closed" for row in self._journal.rows()):
            return
        self._channel.before_finish(self._address)
        self._journal.begin(0, streaming=False)
        self._channel.record(self._address, self._turn.job_id, outcome)
        self._journal.opened(0, f"{self._turn.job_id}-0", streaming=False)
        if not isinstance(outcome, Approval):
            self._journal.closed(0)


def _words(outcome: Outcome) -> str:
    match outcome:
        case Reply():
            return outcome.text
        case Approval():
            return outcome.question
    return outcome.message
