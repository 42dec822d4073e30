"""What the knowledge commands say: how far a work is, and what was done."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import typer

from integrations.cli.console import note, print_json

if TYPE_CHECKING:  # `--help` must not wait for it
    from llmasos.upkeep import Notify, Progress, Report

PACE = 5.0
"""Seconds between two lines on the progress."""


@contextmanager
def progress() -> Iterator["Notify"]:
    """A bar on standard error where a person looks at it, else a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _now_and_then()
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("")

        def show(progress: "Progress") -> None:
            bar.update(
                task, completed=progress.done, total=progress.total, description=progress.source
            )

        yield show


def _now_and_then() -> "Notify":
    """Says every few seconds how far it is."""
    told = monotonic()

    def show(progress: "Progress") -> None:
        nonlocal told
        if monotonic() - told >= PACE:
            told = monotonic()
            note(f"{progress.done} of {progress.total}: {progress.source}")

    return show


def tell(report: "Report", *, json: bool, lines: bool = False) -> None:
    """Print a report, in lines or as a whole; exit with 1 when all that was done is failing."""
    for failure in report.failed:
        note(f"not added: {failure.source}: {failure.reason}")
    if json:
        print_json(report.model_dump())
    else:
        for line in _lines(report) if lines else ():
            typer.echo(line)
        typer.echo(report.summary)
    if report.only_failed:
        raise typer.Exit(1)


def _lines(report: "Report") -> Iterator[str]:
    """A line a document."""
    for word in ("added", "changed", "unchanged", "removed"):
        yield from (f"{word}: {source}" for source in getattr(report, word))
    yield from (f"moved: {before} -> {source}" for source, before in report.moved.items())
    yield from (f"skipped: {each.source}: {each.reason}" for each in report.skipped)
