"""`llmasos settings`: what is in force here, secrets hidden."""

from typing import Any

import typer

from integrations.cli.console import Json, print_json, print_table, settings
from llmasos.settings import redacted


def command(context: typer.Context, as_json: Json = False) -> None:
    """Print the settings in force, secrets hidden."""
    plain = redacted(settings(context))
    if as_json:
        print_json(plain)
    else:
        print_table(("SETTING", "VALUE"), list(_flat(plain)))


def _flat(plain: dict[str, Any], head: str = "") -> list[tuple[str, str]]:
    """Each leaf with its dotted name."""
    rows: list[tuple[str, str]] = []
    for key, value in plain.items():
        name = f"{head}{key}"
        if isinstance(value, dict):
            rows += _flat(value, f"{name}.")
        else:
            rows.append((name, "" if value is None else str(value)))
    return rows
