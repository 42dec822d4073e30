"""What every command shares: its settings, its output, its exit codes.

0: done, 1: failed, 2: wrong use. Answers go to standard output, all else to standard error.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from llmasos import logs
from llmasos.settings import Settings, load

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def settings(context: typer.Context) -> Settings:
    """The settings of this call: `--config` and the environment, read once.

    From here on only what a person must know is logged, unless they want all. What runs until it is
    stopped sets its own log up.
    """
    root = context.find_root()
    if not isinstance(root.obj, Settings):
        config = root.params.get("config")
        found = root.obj = load(Path(config) if config else None)
        level = "DEBUG" if found.log_level == "DEBUG" else "WARNING"
        logs.configure("llmasos", level, found.log_format)
    return root.obj


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_table(headers: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Print rows for a person; a pipe gets them with tabs between the cells."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for line in (headers, *cells):
            typer.echo("\t".join(line))
        return
    from rich.console import Console  # late: `--help` must not wait for it
    from rich.table import Table
    from rich.text import Text

    table = Table(*headers, box=None, pad_edge=False, header_style="bold")
    for line in cells:
        table.add_row(*(Text(cell) for cell in line))
    Console().print(table)


def note(text: str) -> None:
    """Tell the person something that is not the answer."""
    typer.echo(text, err=True)


def printable(text: str) -> str:
    """A text without what would steer the terminal: an answer may quote anybody."""
    return "".join(each for each in text if each.isprintable() or each in "\n\t")
