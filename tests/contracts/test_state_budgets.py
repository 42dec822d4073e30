"""Budgets of a day, on every database: refused with when something is free again, and by whom."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, event, update

from llmasos.database import Database
from llmasos.errors import BudgetSpent
from llmasos.events import Reply
from llmasos.generation import Usage
from llmasos.jobs import Jobs
from llmasos.request import Principal, Request
from llmasos.settings import BudgetSettings, JobSettings
from llmasos.tables import jobs as table
from workers.claims import Claims
from workers.outcomes import Outcomes

ANN = Principal(id="slack:T:U1", name="Ann", channel="C1")
BOB = Principal(id="slack:T:U2", name="Bob", channel="C1")
Budgeted = Callable[..., Jobs]


def ask(by: Principal, **fields: object) -> Request:
    return Request.model_validate({"agent": "echo", "text": "hi", "principal": by, **fields})


@pytest.fixture
def budgeted(make_jobs: Callable[..., Jobs]) -> Budgeted:
    def make(**budgets: int) -> Jobs:
        return make_jobs(limits=JobSettings(budgets=BudgetSettings(**budgets)))

    return make


def age(database: Database, seconds: float) -> None:
    """Let everything be so much older."""
    with database.writing() as connection:
        connection.execute(update(table).values(created_at=table.c.created_at - seconds))


def test_a_person_may_ask_so_often_a_day(budgeted: Budgeted, database: Database) -> None:
    jobs = budgeted(user_jobs=2)
    jobs.submit(ask(ANN, idempotency_key="k"))
    jobs.submit(ask(ANN))

    with pytest.raises(BudgetSpent, match=r"Ann .* 2 jobs a day.*jobs\.budgets\.user_jobs"):
        jobs.submit(ask(ANN))

    assert len(jobs.list()) == 2
    assert jobs.submit(ask(BOB)).new
    assert not jobs.submit(ask(ANN, idempotency_key="k")).new
    age(database, 24 * 3600)
    assert jobs.submit(ask(ANN)).new


def test_it_is_said_when_something_is_free_again(budgeted: Budgeted, database: Database) -> None:
    jobs = budgeted(user_jobs=1)
    first = jobs.submit(ask(ANN)).job
    age(database, 3600)

    with pytest.raises(BudgetSpent) as caught:
        jobs.submit(ask(ANN))

    free_at = first.created_at - 3600 + 24 * 3600
    assert caught.value.free_at == _day(free_at)


def test_whoever_used_far_more_waits_until_enough_of_it_is_a_day_old(
    budgeted: Budgeted, database: Database
) -> None:
    free = budgeted()
    jobs = budgeted(user_jobs=2)
    made = []
    for _ in range(4):
        age(database, 3600)
        made.append(free.submit(ask(ANN)).job)

    with pytest.raises(BudgetSpent) as caught:
        jobs.submit(ask(ANN))

    third = made[2].created_at - 3600  # once it is gone, one of two is left
    assert caught.value.free_at == _day(third + 24 * 3600)


def test_a_sum_needs_no_more_than_an_index(budgeted: Budgeted, database: Database) -> None:
    if not database.is_sqlite:
        pytest.skip("PostgreSQL decides by how many rows there are")
    said: list[str] = []
    jobs = budgeted(user_jobs=9, user_tokens=9, channel_jobs=9, channel_tokens=9)

    def explain(connection: Any, _: object, statement: str, parameters: Any, *__: object) -> None:
        if statement.startswith("SELECT coalesce(sum("):
            plan = connection.connection.driver_connection.execute(
                f"EXPLAIN QUERY PLAN {statement}", parameters
            )
            said.extend(row[3] for row in plan)

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        jobs.submit(ask(ANN))
    finally:
        event.remove(Engine, "before_cursor_execute", explain)

    assert len(said) == 4
    assert all("USING COVERING INDEX jobs_of" in each for each in said)


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def test_tokens_are_counted_as_they_are_used(budgeted: Budgeted, database: Database) -> None:
    jobs = budgeted(user_tokens=100)
    for used in (60, 60):
        jobs.submit(ask(ANN))
        claim = Claims(database, "worker", 60).take()
        assert claim is not None
        usage = Usage(prompt_tokens=used - 10, completion_tokens=10)
        Outcomes(database).succeed(claim, "echo", Reply(text="x"), usage)

    with pytest.raises(BudgetSpent, match="100 tokens"):
        jobs.submit(ask(ANN))


def test_a_channel_has_a_budget_of_its_own(budgeted: Budgeted) -> None:
    jobs = budgeted(channel_jobs=1)
    jobs.submit(ask(ANN))

    with pytest.raises(BudgetSpent, match="The channel C1"):
        jobs.submit(ask(BOB))

    assert jobs.submit(ask(Principal(id="local"))).new
