"""The bus: the stream of events of each running job, for readers who want them as they come.

Beside it are boards, on which processes pin short notices of how they fare. The database holds what
counts; the bus may lose everything and only liveliness is lost. Beside `rates.py` the one place
that knows Redis.
Start reading at `EventBus`.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import structlog
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from llmasos.errors import BrokerUnavailable
from llmasos.events import Event, dump_event, parse_event

log = structlog.get_logger()

LONGEST_STREAM = 5_000
"""Events of one job that are kept, about; older ones go."""
KEPT_SECONDS = 24 * 3600
"""How long a job's stream is kept after its last event."""
PUBLISH_TIMEOUT = 0.25
"""Seconds that an event may cost the agent that emits it."""
PAUSE_AFTER_FAILURE = 1.0
"""Seconds for which nothing is published after a failure, so that a dead bus stops nobody."""
LONGEST_BLOCK = 2.0
"""Seconds that one read waits at the server; longer waits are several reads."""
MOST_READ = 500
"""Events that one read gives at most."""


@dataclass(frozen=True)
class BusEvent:
    """An event as it was read from the bus."""

    id: str
    """Its place in the stream: hand it back as `after` to go on from here."""
    attempt: int
    """The job's attempt that emitted it."""
    event: Event


class EventBus(Protocol):
    """Carries the events of jobs. Implementations: `RedisBus`, `MemoryBus`."""

    def publish(self, job_id: str, attempt: int, event: Event) -> None:
        """Append an event. Never raises: a lost event is logged, and costs liveliness only."""
        ...

    def read(self, job_id: str, after: str = "0", wait: float = 1.0) -> Sequence[BusEvent]:
        """The events after an id; waits up to `wait` seconds for the first of them."""
        ...

    def pin(self, board: str, name: str, text: str, seconds: float) -> None:
        """Put a notice on a board, in the place of an older one of that name.

        seconds: after these it is taken off. Never raises, as `publish` does not.
        """
        ...

    def pinned(self, board: str) -> Mapping[str, str]:
        """The notices on a board now, by name. A bus that does not answer has none."""
        ...

    def ping(self) -> None:
        """Raises BrokerUnavailable when the bus does not answer."""
        ...


def open_bus(url: str | None) -> EventBus:
    """The bus at a Redis or Valkey URL; without one, a bus within this process."""
    return RedisBus(url) if url else MemoryBus()


class MemoryBus:
    """A bus within one process: for a job that is run on the spot, and for tests.

    keep: of how many jobs the events are kept; the oldest go.
    """

    def __init__(self, keep: int = 1_000) -> None:
        self._keep = keep
        self._streams: OrderedDict[str, list[BusEvent]] = OrderedDict()
        self._boards: dict[str, dict[str, tuple[float, str]]] = {}
        self._more = threading.Condition()

    def publish(self, job_id: str, attempt: int, event: Event) -> None:
        """Append an event."""
        with self._more:
            stream = self._streams.setdefault(job_id, [])
            number = int(stream[-1].id) + 1 if stream else 1
            stream.append(BusEvent(str(number), attempt, event))
            del stream[:-LONGEST_STREAM]
            while len(self._streams) > self._keep:
                self._streams.popitem(last=False)
            self._more.notify_all()

    def read(self, job_id: str, after: str = "0", wait: float = 1.0) -> Sequence[BusEvent]:
        """The events after an id; waits up to `wait` seconds for the first of them."""
        last = _number(after)

        def new() -> list[BusEvent]:
            return [each for each in self._streams.get(job_id, ()) if int(each.id) > last]

        with self._more:
            self._more.wait_for(new, timeout=wait)
            return new()[:MOST_READ]

    def pin(self, board: str, name: str, text: str, seconds: float) -> None:
        """Put a notice on a board."""
        with self._more:
            self._boards.setdefault(board, {})[name] = (time.monotonic() + seconds, text)

    def pinned(self, board: str) -> Mapping[str, str]:
        """The notices on a board now, by name."""
        with self._more:
            now = time.monotonic()
            notices = self._boards.get(board, {})
            current = {name: notice for name, notice in notices.items() if notice[0] > now}
            self._boards[board] = current
            return {name: text for name, (_, text) in current.items()}

    def ping(self) -> None:
        """It answers as long as the process lives."""


class RedisBus:
    """A bus on Redis or Valkey streams, for readers in other processes.

    url: `redis://…` or `rediss://…`.
    """

    def __init__(self, url: str) -> None:
        import redis  # late: a process without a bus does not pay for it

        self._errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        none = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
        impatient = {"socket_timeout": PUBLISH_TIMEOUT, "socket_connect_timeout": PUBLISH_TIMEOUT}
        self._writer = redis.Redis.from_url(url, retry=none, **impatient)
        patient = {"socket_timeout": LONGEST_BLOCK + 3.0, "socket_connect_timeout": 1.0}
        self._reader = redis.Redis.from_url(url, retry=none, **patient)
        self._silent_until = 0.0
        parts = urlsplit(url)
        self._name = f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}"  # no password

    def publish(self, job_id: str, attempt: int, event: Event) -> None:
        """Append an event. Never raises: a lost event is logged, and costs liveliness only."""
        if time.monotonic() < self._silent_until:
            return
        key = _key(job_id)
        try:
            line = dump_event(event)
        except PydanticSerializationError:  # a tool's argument may be anything
            log.warning("bus.event_lost", job=job_id, event_kind=event.kind, error="not JSON")
            return
        try:
            with self._writer.pipeline(transaction=False) as pipeline:
                fields: dict[Any, Any] = {"attempt": attempt, "event": line}
                pipeline.xadd(key, fields, maxlen=LONGEST_STREAM, approximate=True)
                pipeline.expire(key, KEPT_SECONDS)
                pipeline.execute()
        except self._errors as error:
            self._silent_until = time.monotonic() + PAUSE_AFTER_FAILURE
            log.warning("bus.event_lost", job=job_id, event_kind=event.kind, error=str(error))

    def read(self, job_id: str, after: str = "0", wait: float = 1.0) -> Sequence[BusEvent]:
        """The events after an id; waits up to `wait` seconds for the first of them.

        A bus that does not answer is logged and reads as silence.
        """
        until = time.monotonic() + wait
        last = after if _is_stream_id(after) else "0"
        while True:
            left = max(0.0, until - time.monotonic())
            try:
                found = self._read_once(job_id, last, min(left, LONGEST_BLOCK))
            except self._errors as error:
                log.warning("bus.unreadable", job=job_id, error=str(error))
                time.sleep(max(0.0, until - time.monotonic()))
                return []
            if found or time.monotonic() >= until:
                return [event for entry in found if (event := _parsed(*entry)) is not None]

    def pin(self, board: str, name: str, text: str, seconds: float) -> None:
        """Put a notice on a board: a key that expires, and its name in the board's set."""
        if time.monotonic() < self._silent_until:
            return
        try:
            with self._writer.pipeline(transaction=False) as pipeline:
                pipeline.set(f"{_board(board)}:{name}", text, px=max(1, int(seconds * 1000)))
                pipeline.sadd(_board(board), name)
                pipeline.execute()
        except self._errors as error:
            self._silent_until = time.monotonic() + PAUSE_AFTER_FAILURE
            log.warning("bus.notice_lost", board=board, error=str(error))

    def pinned(self, board: str) -> Mapping[str, str]:
        """The notices on a board now, by name. A bus that does not answer has none."""
        try:
            members: Any = self._reader.smembers(_board(board))
            names = sorted(members)
            keys = [f"{_board(board)}:{name.decode()}" for name in names]
            texts: Any = self._reader.mget(keys) if keys else []
            gone = [name for name, text in zip(names, texts, strict=True) if text is None]
            if gone:
                self._reader.srem(_board(board), *gone)
        except self._errors as error:
            log.warning("bus.unreadable", board=board, error=str(error))
            return {}
        found = zip(names, texts, strict=True)
        return {name.decode(): text.decode() for name, text in found if text is not None}

    def ping(self) -> None:
        """Raises BrokerUnavailable when the bus does not answer."""
        try:
            self._reader.ping()
        except self._errors as error:
            raise BrokerUnavailable(self._name, str(error) or type(error).__name__) from error

    def _read_once(self, job_id: str, last: str, wait: float) -> list[Any]:
        block = max(1, int(wait * 1000))  # 0 would wait for ever
        streams: Any = self._reader.xread({_key(job_id): last}, count=MOST_READ, block=block)
        # The protocol's versions answer in different forms.
        pairs = streams.items() if isinstance(streams, dict) else streams or ()
        return [entry for _, entries in pairs for entry in entries]


def _key(job_id: str) -> str:
    return f"llmasos:events:{job_id}"


def _board(board: str) -> str:
    return f"llmasos:board:{board}"


def _number(after: str) -> int:
    """The place that a reader names; one that makes no sense is the beginning."""
    return int(after) if after.isascii() and after.isdigit() else 0


def _is_stream_id(after: str) -> bool:
    parts = after.split("-")
    return len(parts) <= 2 and all(
        part.isascii() and part.isdigit() and len(part) < 20 for part in parts
    )


def _parsed(entry_id: bytes, fields: dict[bytes, bytes]) -> BusEvent | None:
    try:
        return BusEvent(entry_id.decode(), int(fields[b"attempt"]), parse_event(fields[b"event"]))
    except (KeyError, ValueError, ValidationError):
        log.warning("bus.event_unknown", id=entry_id.decode())  # written by another version
        return None
