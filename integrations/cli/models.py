"""`llmasos models`: the model library."""

import sys
import time
from typing import Annotated, Any

import typer

from integrations.cli.console import Json, note, print_json, print_table, settings
from llmasos.engine.catalogue import Entry
from llmasos.engine.library import ModelLibrary
from llmasos.engine.sources import Progress

app = typer.Typer()
MEGABYTE = 1_000_000
NameArgument = Annotated[str, typer.Argument(help="A model of `llmasos models list`.")]


@app.command("list")
def list_models(context: typer.Context, as_json: Json = False) -> None:
    """The models of the catalogue, and which of them are here."""
    library = ModelLibrary(settings(context).models_dir)
    entries = [_shown(library, entry) for entry in library.list()]
    if as_json:
        print_json(entries)
        return
    columns = ("name", "kind", "format", "context", "licence")
    rows = [
        (
            *(entry[column] for column in columns),
            _megabytes(entry["size"]),
            "yes" if entry["path"] else "no",
        )
        for entry in entries
    ]
    print_table((*(column.upper() for column in columns), "SIZE", "HERE"), rows)


@app.command()
def show(context: typer.Context, name: NameArgument, as_json: Json = False) -> None:
    """All that the catalogue says of one model."""
    library = ModelLibrary(settings(context).models_dir)
    shown = _shown(library, library.show(name))
    if as_json:
        print_json(shown)
        return
    files = shown.pop("files")
    rows = [(key, value) for key, value in shown.items() if value not in (None, "")]
    rows += [(f"sha256 of {file}", digest) for file, digest in files.items()]
    print_table(("FIELD", "VALUE"), rows)


@app.command()
def pull(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(help="Models [default: the two that the settings name].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch models, check their sha256 and keep them; what is here already is not fetched again."""
    own = settings(context)
    library = ModelLibrary(own.models_dir)
    wanted = [library.show(name) for name in names or (own.llm.model, own.embedding.model)]
    done = []
    for entry in wanted:
        here = library.has(entry.name)
        path = library.pull(entry.name, _progress(entry.name))
        done.append({"name": entry.name, "path": str(path), "fetched": not here})
        note(f"{entry.name}: {'already here' if here else 'fetched and verified'} ({path})")
    if as_json:
        print_json(done)


@app.command()
def remove(context: typer.Context, name: NameArgument, as_json: Json = False) -> None:
    """Remove a model's files from this machine."""
    removed = ModelLibrary(settings(context).models_dir).remove(name)
    note(f"{name}: {'removed' if removed else 'was not here'}")
    if as_json:
        print_json({"name": name, "removed": removed})


def _shown(library: ModelLibrary, entry: Entry) -> dict[str, Any]:
    path = str(library.path(entry.name)) if library.has(entry.name) else None
    return {**entry.model_dump(), "path": path}


def _megabytes(size: int) -> str:
    return f"{size / MEGABYTE:.1f} MB"


def _progress(name: str) -> Progress:
    """One line on standard error: rewritten in a terminal, a new one every 2 s elsewhere."""
    terminal = sys.stderr.isatty()
    pause = 0.0 if terminal else 2.0
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done < total and now - last < pause:
            return
        last = now
        line = f"{name}: {_megabytes(done)} of {_megabytes(total)}"
        typer.echo(
            f"\r\x1b[K{line}" if terminal else line, err=True, nl=not terminal or done >= total
        )

    return show
