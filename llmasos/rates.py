"""Rates: how often something may be done, agreed on by all processes.

A place that limits its callers counts all of our processes together, and so do we. What must be
done books its time (`must`); what is only nice to have may use a share, is spread evenly over those
who want it, and is dropped when there is no room (`spare`); what others ask of us is refused then
(`take`). Beside `bus.py` the one place that knows Redis. Knows nothing of what is limited. Start
reading at `Rates`, then `_Window`.
"""

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog

log = structlog.get_logger()

PAUSE_AFTER_FAILURE = 1.0
"""Seconds for which the others are not asked after a failure, so that a dead store costs nobody."""
TIMEOUT = 0.25
"""Seconds that one question to the store may take."""
KEPT = 1_000
"""How many names one process remembers by itself."""


@dataclass(frozen=True)
class Rate:
    """So many in so many seconds, in any such stretch of time."""

    count: int
    seconds: float
    share: float = 0.7
    """What part of them may go to what can be dropped."""
    alone: float = 0.25
    """What part of them a process allows itself while it cannot agree with the others."""

    @property
    def room(self) -> int:
        """How many of them may go to what can be dropped."""
        return max(1, int(self.count * self.share))


@dataclass(frozen=True)
class Taken:
    """What came of asking for one."""

    left: int
    """How many more may be taken now."""
    wait: float
    """0: it was taken. Else the seconds until there is room for one."""


class Rates(Protocol):
    """Counts what is done under a name. Implementations: `RedisRates`, `MemoryRates`.

    No method raises: a store that does not answer leaves each process a share of its own.
    """

    def must(self, name: str, rate: Rate, who: str) -> float:
        """Take one for what must be done.

        Gives 0 when it may be done now, else the seconds to a time that is booked for `who`:
        ask again then.
        """
        ...

    def spare(self, name: str, rate: Rate, who: str) -> float:
        """Take one for what can be dropped.

        Gives 0 when it may be done now, else the seconds until it is worth while to ask again.
        """
        ...

    def take(self, name: str, rate: Rate) -> Taken:
        """Take one if there is room now; whoever is refused has nothing booked."""
        ...

    def pause(self, name: str, seconds: float) -> None:
        """Let nobody do it for so many seconds: the place has said so."""
        ...


def open_rates(url: str | None) -> Rates:
    """The rates at a Redis or Valkey URL; without one, rates of this process alone."""
    return RedisRates(url) if url else MemoryRates()


class MemoryRates:
    """Rates of one process. clock: gives the time in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._lock = threading.Lock()

    def must(self, name: str, rate: Rate, who: str) -> float:
        """Take one for what must be done."""
        with self._lock:
            return self._window(name).must(rate, who, self._clock())

    def spare(self, name: str, rate: Rate, who: str) -> float:
        """Take one for what can be dropped."""
        with self._lock:
            return self._window(name).spare(rate, who, self._clock())

    def take(self, name: str, rate: Rate) -> Taken:
        """Take one if there is room now."""
        with self._lock:
            return self._window(name).take(rate, self._clock())

    def pause(self, name: str, seconds: float) -> None:
        """Let nobody do it for so many seconds."""
        with self._lock:
            window = self._window(name)
            window.opens_at = max(window.opens_at, self._clock() + seconds)

    def _window(self, name: str) -> "_Window":
        window = self._windows.setdefault(name, _Window())
        self._windows.move_to_end(name)
        while len(self._windows) > KEPT:
            self._windows.popitem(last=False)
        return window


class _Window:
    """What was done, or is booked, under one name. `SCRIPT` does the same in the store."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.booked: dict[str, float] = {}
        self.opens_at = 0.0
        self._asking: dict[str, float] = {}  # when each is expected to ask next
        self._last: dict[str, float] = {}

    def must(self, rate: Rate, who: str, now: float) -> float:
        times = self._times(rate, now)
        at = self.booked.get(who)
        if at is None:
            at = times[-rate.count] + rate.seconds if len(times) >= rate.count else now
        at = max(at, self.opens_at)
        if at <= now:
            self.booked.pop(who, None)
            self.taken.append(now)
            return 0.0
        self.booked.setdefault(who, at)
        return at - now

    def spare(self, rate: Rate, who: str, now: float) -> float:
        wait = self._wait(rate, who, now)
        self._asking[who] = now + wait
        if not wait:
            self.taken.append(now)
            self._last[who] = now
        return wait

    def take(self, rate: Rate, now: float) -> Taken:
        times = self._times(rate, now)
        if self.opens_at > now:
            return Taken(0, self.opens_at - now)
        if len(times) >= rate.count:
            return Taken(0, times[-rate.count] + rate.seconds - now)
        self.taken.append(now)
        return Taken(rate.count - len(times) - 1, 0.0)

    def _wait(self, rate: Rate, who: str, now: float) -> float:
        times = self._times(rate, now)
        if self.opens_at > now:
            return self.opens_at - now
        if len(times) >= rate.room:
            return times[-rate.room] + rate.seconds - now
        gap = len({*self._asking, who}) * rate.seconds / rate.room
        last = self._last.get(who)
        return max(0.0, last + gap - now) if last is not None else 0.0

    def _times(self, rate: Rate, now: float) -> list[float]:
        """The times within the last stretch and after, in order; what is older is forgotten."""
        old = now - rate.seconds
        self.taken = [at for at in self.taken if at > old]
        self.booked = {who: at for who, at in self.booked.items() if at > old}
        gone = now - rate.seconds / 6
        self._asking = {who: at for who, at in self._asking.items() if at > gone}
        self._last = {who: at for who, at in self._last.items() if who in self._asking}
        return sorted([*self.taken, *self.booked.values()])


# KEYS: window, asking, last, opens_at. ARGV: count, seconds, room, who, mode, a name for this one.
SCRIPT = """
local window, asking, last, opening = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local count, seconds, room = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local who, mode, id = ARGV[4], ARGV[5], ARGV[6]
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local function text(number) return string.format('%.6f', number) end
local function keep(key) redis.call('PEXPIRE', key, math.ceil(seconds * 3000)) end
local function note(key, at, name) redis.call('ZADD', key, text(at), name) keep(key) end

local opens_at = tonumber(redis.call('GET', opening) or '0')
if mode == 'pause' then
  local at = math.max(opens_at, now + seconds)
  redis.call('SET', opening, text(at), 'PX', math.ceil((at - now) * 1000))
  return text(at - now)
end

redis.call('ZREMRANGEBYSCORE', window, '-inf', text(now - seconds))
local number = redis.call('ZCARD', window)
local function from_the_end(place)
  return tonumber(redis.call('ZRANGE', window, number - place, number - place, 'WITHSCORES')[2])
end

if mode == 'must' then
  local booking = 'booked ' .. who
  local at = tonumber(redis.call('ZSCORE', window, booking) or '-1')
  if at < 0 then
    at = now
    if number >= count then at = from_the_end(count) + seconds end
  end
  at = math.max(at, opens_at)
  if at <= now then
    redis.call('ZREM', window, booking)
    note(window, now, id)
    return '0'
  end
  redis.call('ZADD', window, 'NX', text(at), booking)
  redis.call('PEXPIRE', window, math.ceil((at - now + seconds * 3) * 1000))
  return text(at - now)
end

if mode == 'take' then
  if opens_at > now then return '0 ' .. text(opens_at - now) end
  if number >= count then return '0 ' .. text(from_the_end(count) + seconds - now) end
  note(window, now, id)
  return (count - number - 1) .. ' 0'
end

redis.call('ZREMRANGEBYSCORE', asking, '-inf', text(now - seconds / 6))
local before = tonumber(redis.call('ZSCORE', last, who) or '-1')
local wait = 0
if opens_at > now then
  wait = opens_at - now
elseif number >= room then
  wait = from_the_end(room) + seconds - now
elseif before >= 0 then
  redis.call('ZADD', asking, text(now), who)
  wait = math.max(0, before + redis.call('ZCARD', asking) * seconds / room - now)
end
note(asking, now + wait, who)
if wait == 0 then
  note(window, now, id)
  note(last, now, who)
  redis.call('ZREMRANGEBYSCORE', last, '-inf', text(now - seconds * 3))
end
return text(wait)
"""


class RedisRates:
    """Rates that all processes share, in Redis or Valkey, by its clock.

    url: `redis://…` or `rediss://…`. It connects when it is first used.
    """

    def __init__(self, url: str) -> None:
        import redis  # late: a process that limits nothing does not pay for it

        self._errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        none = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
        store = redis.Redis.from_url(
            url, retry=none, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
        )
        self._run = store.register_script(SCRIPT)
        self._alone = MemoryRates()
        self._alone_until = 0.0

    def must(self, name: str, rate: Rate, who: str) -> float:
        """Take one for what must be done."""
        said = self._ask(name, rate, who, "must")
        return self._alone.must(name, _shared(rate), who) if said is None else float(said)

    def spare(self, name: str, rate: Rate, who: str) -> float:
        """Take one for what can be dropped."""
        said = self._ask(name, rate, who, "spare")
        return self._alone.spare(name, _shared(rate), who) if said is None else float(said)

    def take(self, name: str, rate: Rate) -> Taken:
        """Take one if there is room now."""
        said = self._ask(name, rate, "", "take")
        if said is None:
            return self._alone.take(name, _shared(rate))
        left, wait = said.split()
        return Taken(int(left), float(wait))

    def pause(self, name: str, seconds: float) -> None:
        """Let nobody do it for so many seconds."""
        self._ask(name, Rate(0, seconds), "", "pause")
        self._alone.pause(name, seconds)

    def _ask(self, name: str, rate: Rate, who: str, mode: str) -> bytes | None:
        """What the store says; None when it does not answer."""
        if time.monotonic() < self._alone_until:
            return None
        keys = [f"llmasos:rate:{{{name}}}:{part}" for part in ("taken", "asking", "last", "opens")]
        words: list[str | int | float] = [
            rate.count,
            rate.seconds,
            rate.room,
            who,
            mode,
            uuid.uuid4().hex,
        ]
        try:
            said: Any = self._run(keys=keys, args=words)
            return bytes(said)
        except self._errors as error:
            self._alone_until = time.monotonic() + PAUSE_AFTER_FAILURE
            log.warning("rates.alone", name=name, error=str(error))
            return None


def _shared(rate: Rate) -> Rate:
    """What one process may do of a rate by itself."""
    return replace(rate, count=max(1, int(rate.count * rate.alone)))
