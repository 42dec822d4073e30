"""`llmasos migrate`: bring the database's schema up to date."""

import typer

from integrations.cli import console
from llmasos.database import Database, migrate


def command(context: typer.Context, as_json: console.Json = False) -> None:
    """Bring the database's schema up to date. Safe to call again, and from several places."""
    with Database(console.settings(context).state_url) as database:
        before, after = migrate(database)
        name = database.name
    if as_json:
        console.print_json({"database": name, "before": before or None, "after": after})
    elif before == after:
        console.note(f"{name} has schema {after} already.")
    else:
        console.note(f"{name}: schema {before or 'none'} → {after}.")
