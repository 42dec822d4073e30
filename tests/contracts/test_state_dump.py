"""Dumps of the state: read from each database, loaded into each."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from llmasos.database import Database, migrate
from llmasos.dump import dump, is_empty, load
from llmasos.errors import DumpUnfit, SchemaMismatch
from llmasos.events import Reply
from llmasos.generation import Usage
from llmasos.jobs import Jobs
from llmasos.request import Request
from llmasos.settings import JobSettings
from llmasos.tables import hook_deliveries, leases, messages, metadata
from workers.claims import Claims
from workers.inline import InlineDispatcher
from workers.outcomes import Outcomes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "dump"
    made.mkdir()
    return made


@pytest.fixture
def other(tmp_path: Path) -> Any:
    """Another database, always SQLite, with our schema."""
    with Database(f"sqlite:///{tmp_path / 'other.db'}") as made:
        migrate(made)
        yield made


def answer(database: Database, jobs: Jobs, text: str = "ümläut \u2028 🙂") -> str:
    """A job that was answered, its turn in the transcript."""
    request = Request(agent="echo", text=text, conversation="c")
    job = jobs.submit(request).job
    claim = Claims(database, "w", 10).take()
    assert claim is not None
    Outcomes(database).succeed(claim, "echo", Reply(text=text), Usage())
    return job.id


def jobs_of(database: Database) -> Jobs:
    return Jobs(database, InlineDispatcher(), JobSettings(), ["echo"], ["test"], lambda *_: True)


def everything(database: Database) -> dict[str, list[Any]]:
    with database.reading() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table)).all()), key=repr)
            for table in metadata.sorted_tables
            if table is not leases
        }


def test_what_was_dumped_from_one_database_is_in_the_other(
    database: Database, jobs: Jobs, other: Database, folder: Path
) -> None:
    answer(database, jobs)
    hook = {"hook": "h", "received_at": 1.5, "outcome": "taken", "body": b"\x00\xff raw"}
    with database.writing() as connection:
        connection.execute(hook_deliveries.insert().values(hook))

    rows = dump(database, folder)
    load(other, folder)

    assert rows["jobs"] == 1
    assert rows["messages"] == 2
    assert everything(other) == everything(database)


def test_a_dump_of_sqlite_replaces_what_is_there_and_work_goes_on(
    database: Database, jobs: Jobs, other: Database, folder: Path
) -> None:
    answer(database, jobs, "will be gone")
    kept = answer(other, jobs_of(other), "kept")
    dump(other, folder)

    load(database, folder)

    assert [job.id for job in jobs.list()] == [kept]
    answer(database, jobs, "new")  # its rows get numbers of their own
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(messages)).scalar_one() == 4


def test_a_dump_is_of_one_moment_while_others_write(
    database: Database, jobs: Jobs, other: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        answer(database, jobs, str(number))
    opened = Path.open

    def meanwhile(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == "messages.jsonl":  # the jobs have been read by now
            monkeypatch.setattr(Path, "open", opened)
            answer(database, jobs, "later")
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", meanwhile)
    rows = dump(database, folder)

    load(other, folder)
    assert (rows["jobs"], rows["messages"]) == (3, 6)


def test_a_dump_that_does_not_fit_changes_nothing(
    database: Database, jobs: Jobs, folder: Path
) -> None:
    kept = answer(database, jobs)
    dump(database, folder)
    with (folder / "jobs.jsonl").open("a") as lines:
        lines.write(json.dumps({"id": "x", "drop table jobs": 1}) + "\n")

    with pytest.raises(DumpUnfit, match="columns"):
        load(database, folder)

    assert [job.id for job in jobs.list()] == [kept]


def test_an_empty_database_is_known_as_one(database_url: str) -> None:
    with Database(database_url) as empty:
        assert is_empty(empty)
        with pytest.raises(SchemaMismatch):
            dump(empty, Path())
        migrate(empty)
        assert is_empty(empty)


def test_a_database_with_a_job_is_not_empty(database: Database, jobs: Jobs) -> None:
    jobs.submit(Request(agent="echo", text="x"))

    assert not is_empty(database)
