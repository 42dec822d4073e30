"""Dumps: the durable state as lines of JSON, the same for SQLite and PostgreSQL.

A dump is read in one transaction, so it is of one moment while everybody goes on, and written into
an empty schema in one, so it is there whole or not at all. Leases are left out: they say who is at
work now. Knows tables, and nothing of files' names or archives. Start reading at `dump` and `load`.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Integer, LargeBinary, Table, func, select, text

from llmasos.database import Database, found_schema, require_schema
from llmasos.errors import DumpUnfit
from llmasos.tables import leases, metadata

TABLES = tuple(table for table in metadata.sorted_tables if table is not leases)
"""Those that are dumped, each after the ones that it refers to."""
BATCH = 500
"""Rows that are read or written at a time."""


def dump(database: Database, folder: Path) -> dict[str, int]:
    """Write every table to `TABLE.jsonl` in a folder, all as of one moment; gives their rows.

    Raises SchemaMismatch or DatabaseUnavailable.
    """
    require_schema(database)
    rows: dict[str, int] = {}
    with database.reading() as connection:
        if not database.is_sqlite:  # its transactions see one moment anyway
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        for table in TABLES:
            rows[table.name] = 0
            with (folder / f"{table.name}.jsonl").open("w", encoding="utf-8") as lines:
                for row in _rows(connection, table):
                    lines.write(json.dumps(row, default=_in_base64) + "\n")
                    rows[table.name] += 1
    return rows


def is_empty(database: Database) -> bool:
    """Whether a database holds nothing of ours; one without our schema does not."""
    with database.reading() as connection:
        if not found_schema(connection):
            return True
        return not any(connection.execute(select(table).limit(1)).first() for table in TABLES)


def load(database: Database, folder: Path) -> None:
    """Put a dump in the place of all that a database holds.

    Raises SchemaMismatch, or DumpUnfit when the dump is none of this schema; then nothing was
    changed.
    """
    require_schema(database)
    with database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
        for table in TABLES:
            for batch in _batches(table, folder / f"{table.name}.jsonl"):
                connection.execute(table.insert(), batch)
            if not database.is_sqlite:
                _count_on(connection, table)


def _rows(connection: Connection, table: Table) -> Iterator[dict[str, Any]]:
    query = select(table).order_by(*table.primary_key.columns)
    result = connection.execution_options(yield_per=BATCH).execute(query)
    yield from map(dict, result.mappings())


def _batches(table: Table, path: Path) -> Iterator[list[dict[str, Any]]]:
    names = {column.name for column in table.columns}
    binary = {column.name for column in table.columns if isinstance(column.type, LargeBinary)}
    batch: list[dict[str, Any]] = []
    for row in _read(path):
        if set(row) != names:
            raise DumpUnfit(path.name, "its columns are not those of this version's table")
        batch.append(row | {name: b64decode(row[name]) for name in binary if row[name] is not None})
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _in_base64(content: bytes) -> str:
    return b64encode(content).decode("ascii")


def _read(path: Path) -> Iterable[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise DumpUnfit(path.name, "a line of it is no row")
                yield row
    except (OSError, ValueError) as error:
        raise DumpUnfit(path.name, f"it cannot be read: {error}") from error


def _count_on(connection: Connection, table: Table) -> None:
    """Let PostgreSQL number new rows after the ones that came with their numbers."""
    (key, *others) = table.primary_key.columns
    if others or not isinstance(key.type, Integer):
        return
    highest = select(func.coalesce(func.max(key), 0) + 1).scalar_subquery()
    sequence = func.pg_get_serial_sequence(table.name, key.name)
    connection.execute(select(func.setval(sequence, highest, False)))
