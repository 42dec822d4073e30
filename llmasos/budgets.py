"""Budgets: how much one person and one channel may use in a day.

A day is the last 24 hours, so that what is used up comes back bit by bit. Checked when a request is
accepted (`jobs/store.py`), by sums over an index that holds all they need. Knows the table of jobs.
Start reading at `check`.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, case, func, select

from llmasos.errors import BudgetSpent
from llmasos.request import Principal
from llmasos.settings import BudgetSettings
from llmasos.tables import jobs

DAY = 24 * 3600.0
USED: dict[str, ColumnElement[int]] = {
    "jobs": case((jobs.c.parent.is_(None), 1), else_=0),  # parts are made by agents, not by people
    "tokens": jobs.c.tokens,
}
"""What one job uses of each budget."""


class _Budget(NamedTuple):
    """How many jobs or tokens of whom."""

    who: str
    whose: ColumnElement[bool]
    what: str
    most: int
    setting: str


def check(connection: Connection, settings: BudgetSettings, by: Principal) -> None:
    """Refuse a request whose sender, or whose channel, has used up what is theirs for the day.

    Its own job is stored already, and does not count. Raises BudgetSpent.
    """
    since = time.time() - DAY
    for budget in _budgets(settings, by):
        of_the_day = (budget.whose, jobs.c.created_at > since)
        query = select(func.coalesce(func.sum(USED[budget.what]), 0)).where(*of_the_day)
        used = int(connection.execute(query).scalar_one()) - (budget.what == "jobs")
        if used >= budget.most:
            freed = _freed(connection, USED[budget.what], of_the_day, used - budget.most)
            when = datetime.fromtimestamp(freed, UTC).strftime("%Y-%m-%d %H:%M UTC")
            raise BudgetSpent(budget.who, f"{budget.most} {budget.what}", when, budget.setting)


def _freed(
    connection: Connection,
    amount: ColumnElement[int],
    of_the_day: tuple[ColumnElement[bool], ...],
    over: int,
) -> float:
    """When the budget has room again. over: how much more than the budget is used."""
    so_far = func.sum(amount).over(order_by=(jobs.c.created_at, jobs.c.id)).label("so_far")
    each = select(jobs.c.created_at, so_far).where(*of_the_day).subquery()
    first = select(func.min(each.c.created_at)).where(each.c.so_far > over)
    return float(connection.execute(first).scalar_one()) + DAY


def _budgets(settings: BudgetSettings, by: Principal) -> Iterator[_Budget]:
    """The budgets that hold for someone."""
    name = by.name or by.id
    for what, most in (("jobs", settings.user_jobs), ("tokens", settings.user_tokens)):
        if most:
            setting = f"jobs.budgets.user_{what}"
            yield _Budget(name, jobs.c.principal == by.id, what, most, setting)
    for what, most in (("jobs", settings.channel_jobs), ("tokens", settings.channel_tokens)):
        if most and by.channel:
            setting = f"jobs.budgets.channel_{what}"
            who = f"The channel {by.channel}"
            yield _Budget(who, jobs.c.channel == by.channel, what, most, setting)
