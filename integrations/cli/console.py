"""What every command shares: its settings, its output, its exit codes.

0: done, 1: failed, 2: wrong use. Answers go to standard output, all else to standard error.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from llmasos.settings import Settings, load

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def settings(context: typer.Context) -> Settings:
    """The settings of this call: `--config` and the environment, read once."""
    root = context.find_root()
    if not isinstance(root.obj, Settings):
        config = root.params.get("config")
        root.obj = load(Path(config) if config else None)
    return root.obj


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_table(headers: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Print rows for a person; a pipe gets them without frames or cuts."""
    from rich.console import Console  # late: `--help` must not wait for it
    from rich.table import Table

    table = Table(*headers, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console = Console()
    Console(width=None if console.is_terminal else 400).print(table)


def note(text: str) -> None:
    """Tell the person something that is not the answer."""
    typer.echo(text, err=True)
