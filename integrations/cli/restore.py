"""`llmasos restore`: an installation as it was when a backup was made."""

from pathlib import Path
from typing import Annotated

import typer

from integrations.archive import restore
from integrations.cli import console


def command(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `backup` wrote.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also where there is something already; it is lost.")
    ] = False,
) -> None:
    """Restore a backup into this home and database. The system must be stopped."""
    found = restore(console.settings(context), path, force=force)
    console.note(
        f"Restored as of {found.made_at}: {found.jobs} jobs, {len(found.collections)} collections. "
        "Pull the models if they are not here, and start with `llmasos up`."
    )
