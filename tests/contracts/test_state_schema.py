"""The schema, on every database: made once, checked, refused when it is not ours."""

import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Table

from llmasos.database import SCHEMA, Database, migrate, require_schema
from llmasos.errors import DatabaseUnavailable, HomeNotWritable, SchemaMismatch, SettingsError
from llmasos.tables import leases, metadata


def test_the_migrations_make_the_tables_that_the_code_knows(database: Database) -> None:
    with database.reading() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)

    assert differences == []


def test_what_belongs_to_a_row_is_found_by_an_index() -> None:
    """Without one, removing the row would go through the whole table."""

    def leads(table: Table) -> set[str]:
        return {index.columns[0].name for index in (*table.indexes, table.primary_key)}

    unfound = [
        str(key.parent)
        for table in metadata.sorted_tables
        for key in table.foreign_keys
        if key.parent.name not in leads(table)
    ]

    assert unfound == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    assert migrate(database) == (SCHEMA, SCHEMA)


def test_processes_that_migrate_at_once_do_it_once(database_url: str) -> None:
    def run(_: int) -> str:
        with Database(database_url) as own:
            return migrate(own)[0]

    with ThreadPoolExecutor(4) as pool:
        before = list(pool.map(run, range(4)))

    assert sorted(before) == ["", SCHEMA, SCHEMA, SCHEMA]


def test_a_database_without_our_schema_is_refused(database_url: str) -> None:
    with Database(database_url) as empty, pytest.raises(SchemaMismatch, match="llmasos migrate"):
        require_schema(empty)


def test_a_newer_schema_is_left_alone(database: Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(SchemaMismatch, match="newer version"):
        migrate(database)
    with pytest.raises(SchemaMismatch, match="newer version"):
        require_schema(database)


def test_a_server_that_is_away_is_said_to_be_so_without_its_password() -> None:
    database = Database("postgresql://user:hunter2@127.0.0.1:1/x")

    with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1:1/x") as caught:
        require_schema(database)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "nonsense"])
def test_a_database_of_another_kind_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(SettingsError, match="database_url"):
        Database(url)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(HomeNotWritable, match="LLMASOS_HOME"):
        Database(f"sqlite:///{tmp_path}/file/state.db")


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path}/state.db") as database:
        migrate(database)

        with pytest.raises(HomeNotWritable, match="full"):
            _write_past_the_end(database)


def _write_past_the_end(database: Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite's own full disk
        connection.exec_driver_sql("CREATE TABLE big (x)")
        for _ in range(100):
            connection.exec_driver_sql("INSERT INTO big VALUES (zeroblob(100000))")


def test_nobody_else_can_read_the_messages_on_disk(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path}/state.db") as database:
        migrate(database)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    assert modes["state.db"] == 0o600
    assert set(modes.values()) == {0o600}


def test_a_second_look_at_a_file_takes_nothing_from_those_who_use_it(tmp_path: Path) -> None:
    """SQLite's locks are a process's: closing the file anywhere in it would drop them all."""
    url = f"sqlite:///{tmp_path / 'state.db'}"
    with Database(url) as first:
        migrate(first)
        Database(url).close()
        come_and_go = f"from llmasos.database import *\nwith Database({url!r}) as d: migrate(d)"
        subprocess.run([sys.executable, "-c", come_and_go], check=True, timeout=60)
        with first.writing() as connection:
            connection.execute(leases.insert().values(name="x", holder="y", until=1.0))
        reader = sqlite3.connect(tmp_path / "state.db")

        found = reader.execute("SELECT name FROM leases").fetchall()

        reader.close()
    assert found == [("x",)]
