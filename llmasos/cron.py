"""Cron expressions: when something is due by the clock of a place. Nobody else knows cronsim.

Five fields (minute, hour, day of month, month, day of week), as Debian's cron reads them, also when
clocks are changed. Start reading at `latest` and `following`.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError


def check(expression: str) -> str:
    """The expression, if it is one. Raises ValueError."""
    if len(expression.split()) != 5:
        raise ValueError("must have five fields: minute, hour, day, month, day of the week")
    try:
        next(CronSim(expression, datetime.now(UTC)))
    except (CronSimError, StopIteration) as error:
        raise ValueError(f"is no time that ever comes: {error or expression}") from None
    return expression


def check_zone(name: str) -> str:
    """The name of a time zone, if it is one. Raises ValueError."""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is no time zone; write it as Europe/Berlin or UTC") from None


def latest(expression: str, zone: str, now: float) -> float:
    """The last time, at or before now, when it was due. Times are seconds since the epoch."""
    return _first(expression, zone, now, back=True)


def following(expression: str, zone: str, now: float) -> float:
    """The first time after now when it is due."""
    return _first(expression, zone, now, back=False)


def _first(expression: str, zone: str, now: float, *, back: bool) -> float:
    start = datetime.fromtimestamp(now, ZoneInfo(zone)).replace(microsecond=0)
    if back:
        start += timedelta(seconds=1)  # so that the present second counts
    return next(CronSim(expression, start, reverse=back)).timestamp()
