"""`llmasos models`: the model library."""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from integrations.cli import aliases, models_status
from integrations.cli.console import Json, note, print_json, print_table, settings
from llmasos.engine.additions import Wish, drop, entry_of_path, entry_on_hub, write
from llmasos.engine.catalogue import Entry
from llmasos.engine.library import ModelLibrary
from llmasos.engine.serving import is_file_name
from llmasos.engine.sources import Progress
from llmasos.settings import Settings

app = typer.Typer()
app.command()(aliases.promote)
app.command()(aliases.rollback)
app.command()(aliases.history)
app.command("status")(models_status.status)
MEGABYTE = 1_000_000
NameArgument = Annotated[
    str, typer.Argument(help="A model of `llmasos models list`, NAME@REVISION, or an alias.")
]


@app.command("list")
def list_models(
    context: typer.Context,
    here: Annotated[bool, typer.Option("--here", help="Only what is on this machine.")] = False,
    as_json: Json = False,
) -> None:
    """The models of the catalogue, which of them are here, and what they take of the disk."""
    library = ModelLibrary.of(settings(context))
    shown = [_shown(library, entry) for entry in library.list()]
    shown = [entry for entry in shown if entry["path"] or not here]
    if as_json:
        print_json(shown)
        return
    columns = ("name", "revision", "kind", "format", "context", "licence")
    rows = [
        (
            *(entry[column] for column in columns),
            _megabytes(entry["bytes"] or entry["size"]),
            "yes" if entry["path"] else "no",
            ", ".join(entry["aliases"]),
        )
        for entry in shown
    ]
    print_table((*(column.upper() for column in columns), "SIZE", "HERE", "ALIASES"), rows)
    kept = [entry["bytes"] for entry in shown if entry["path"]]
    note(f"Here: {len(kept)}, {_megabytes(sum(kept))} on the disk in {library.folder}")


@app.command()
def show(context: typer.Context, name: NameArgument, as_json: Json = False) -> None:
    """All that is known of one model, and how to serve it with Text Generation Inference."""
    library = ModelLibrary.of(settings(context))
    entry = library.show(name)
    shown = _shown(library, entry)
    expected = library.expected(entry.address)
    if as_json:
        print_json({**shown, "files": expected or shown["files"]})
        return
    for taken in ("files", "launch", "tgi"):
        shown.pop(taken)
    shown["patterns"], shown["aliases"] = " ".join(entry.patterns), ", ".join(shown["aliases"])
    shown["size"], shown["bytes"] = _megabytes(entry.size), _megabytes(shown["bytes"] or None)
    rows = [(key, value) for key, value in shown.items() if value not in (None, "", False)]
    rows += [(f"sha256 of {file}", digest) for file, digest in (expected or entry.files).items()]
    if entry.launch:
        rows.append(("serve it", f"text-generation-launcher {' '.join(entry.launch)}"))
    print_table(("FIELD", "VALUE"), rows)


@app.command()
def pull(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(help="Models [default: those that the settings name].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch models, check their hashes and keep them; what is here already is not fetched again."""
    own = settings(context)
    library = ModelLibrary.of(own)
    wanted = [library.show(name) for name in names or _named(own)]
    done: list[dict[str, Any]] = []
    for entry in wanted:
        here = library.has(entry.address)
        if entry.gated and not here and not library.hub.token:
            note(f"{entry.name} is gated: the Hub asks for hub.token and its licence.")
        path = library.pull(entry.address, _progress(entry.name))
        came = {"name": entry.name, "revision": entry.revision, "path": str(path)}
        done.append({**came, "fetched": not here})
        note(f"{entry.name}: {'already here' if here else 'fetched and verified'} ({path})")
    if as_json:
        print_json(done)


@app.command()
def verify(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(help="Models [default: all that are here].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Hash every file anew and compare. Exits 1 when something is missing or changed."""
    library = ModelLibrary.of(settings(context))
    here = [entry.address for entry in library.list() if library.has(entry.address)]
    rows, found = [], []
    for name in names or here:
        entry = library.show(name)
        problems = library.verify(entry.address)
        known = library.expected(entry.address) is not None
        found.append(
            {
                "name": entry.name,
                "revision": entry.revision,
                "checked_by": entry.checked_by if known else None,
                "problems": [vars(problem) for problem in problems],
            }
        )
        if not known:
            words = "unknown: nobody has said what it should be. Pull it again"
        else:
            words = "; ".join(
                f"{each.file} is {'changed' if each.found else 'missing'}" for each in problems
            )
        rows.append((entry.address, entry.checked_by, words or "as it should be"))
    if as_json:
        print_json(found)
    else:
        print_table(("MODEL", "CHECKED BY", "FILES"), rows)
    if any(each["problems"] or each["checked_by"] is None for each in found):
        raise typer.Exit(1)


@app.command()
def add(  # noqa: PLR0913  # each is an option of the command line
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(help="A .gguf file, a folder, or hf:ORG/REPO[@REVISION].")
    ],
    name: Annotated[str | None, typer.Option(help="What to call it.")] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(help="The files that are wanted of a repository: names or patterns."),
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="`generation` or `embedding`, where it is not clear.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Its licence, where it is not told.")] = None,
    context_length: Annotated[
        int | None, typer.Option("--context", help="Longest text in tokens.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model of your own into the catalogue, `models.toml` in the home."""
    own = settings(context)
    library = ModelLibrary.of(own)
    wish = Wish(name, kind, licence, context_length, tuple(file or ()))
    if source.startswith("hf:"):
        entry = entry_on_hub(source, wish, library.hub)
    else:
        entry = entry_of_path(Path(source), wish)
    path = write(own.home, entry)
    note(f"{entry.address}: written to {path}. Fetch it: llmasos models pull {entry.address}")
    if as_json:
        print_json(entry.model_dump())


@app.command()
def remove(
    context: typer.Context,
    name: NameArgument,
    entry: Annotated[
        bool, typer.Option("--entry", help="Take NAME@REVISION out of models.toml as well.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove a model's files from this machine: all revisions, or only NAME@REVISION."""
    own = settings(context)
    library = ModelLibrary.of(own)
    address = library.show(name).address
    removed = library.remove(address if entry else name)
    dropped = entry and drop(own.home, address)
    note(f"{address if entry else name}: {'removed' if removed else 'was not here'}")
    if entry:
        note(f"{address}: {'taken out of' if dropped else 'is not in'} models.toml")
    if as_json:
        print_json({"name": name, "removed": removed, "entry_removed": dropped})


def _named(own: Settings) -> list[str]:
    """The models of the library that the settings need."""
    text = [own.llm.model] if own.llm.embedded and not is_file_name(own.llm.model) else []
    return [*text, *([] if own.embedding.url else [own.embedding.model])]


def _shown(library: ModelLibrary, entry: Entry) -> dict[str, Any]:
    here = library.has(entry.address)
    return {
        **entry.model_dump(),
        "checked_by": entry.checked_by,
        "path": str(library.path(entry.address)) if here else None,
        "bytes": library.size(entry.address),
        "aliases": library.aliases.pointing_at(entry.address),
        "launch": list(entry.launch),
    }


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / MEGABYTE:.1f} MB"


def _progress(name: str) -> Progress:
    """One line on standard error: rewritten in a terminal, a new one every 2 s elsewhere."""
    terminal = sys.stderr.isatty()
    pause = 0.0 if terminal else 2.0
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        ended = bool(total) and done >= total
        if not ended and now - last < pause:
            return
        last = now
        line = f"{name}: {_megabytes(done)}{f' of {_megabytes(total)}' if total else ''}"
        typer.echo(f"\r\x1b[K{line}" if terminal else line, err=True, nl=not terminal or ended)

    return show
