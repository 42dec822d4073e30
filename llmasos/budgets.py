"""Budgets: how much one person and one channel may use in a day.

A day is the last 24 hours, so that what is used up comes back bit by bit. Checked when a request is
accepted (`jobs/store.py`). Knows the table of jobs. Start reading at `check`.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, select

from llmasos.errors import BudgetSpent
from llmasos.request import Principal
from llmasos.settings import BudgetSettings
from llmasos.tables import jobs

DAY = 24 * 3600.0


class _Budget(NamedTuple):
    """How many jobs or tokens of whom."""

    who: str
    whose: ColumnElement[bool]
    what: str
    most: int
    setting: str


def check(connection: Connection, settings: BudgetSettings, by: Principal, job_id: str) -> None:
    """Refuse a request whose sender, or whose channel, has used up what is theirs for the day.

    job_id: the new job, which does not count. Raises BudgetSpent.
    """
    since = time.time() - DAY
    for budget in _budgets(settings, by):
        query = select(jobs.c.created_at, jobs.c.tokens).where(
            budget.whose, jobs.c.created_at > since, jobs.c.id != job_id
        )
        if budget.what == "jobs":  # parts are made by agents, not by people
            query = query.where(jobs.c.parent.is_(None))
        used = [
            (row.created_at, 1 if budget.what == "jobs" else row.tokens)
            for row in connection.execute(query.order_by(jobs.c.created_at))
        ]
        left = sum(number for _, number in used)
        if left < budget.most:
            continue
        free_at = 0.0
        for created_at, number in used:
            left, free_at = left - number, created_at + DAY
            if left < budget.most:
                break
        when = datetime.fromtimestamp(free_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        raise BudgetSpent(budget.who, f"{budget.most} {budget.what}", when, budget.setting)


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
