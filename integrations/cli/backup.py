"""`llmasos backup`: everything that an installation keeps, in one file."""

from pathlib import Path
from typing import Annotated

import typer

from integrations.archive import back_up
from integrations.cli import console


def command(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
) -> None:
    """Copy jobs, conversations, collections and aliases into one file, while the system runs.

    Not in it: the models' own files and llmasos.toml. It holds people's messages: keep it safe.
    """
    made = back_up(console.settings(context), path)
    console.note(
        f"{path}: {made.jobs} jobs, {len(made.collections)} collections, {made.size:,} bytes."
    )
