"""`llmasos knowledge versions | rollback | backup | restore | readers`: what is kept, for whom.

None of it needs vectors, so no engine is started. `knowledge.py` beside it has the other commands.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from integrations.cli.console import Json, print_json, print_table, settings
from llmasos.errors import InvalidRequest

if TYPE_CHECKING:  # `--help` must not wait for it
    from knowledge import KnowledgeBase
    from knowledge.report import CollectionStats

app = typer.Typer()
Collection = Annotated[str, typer.Argument(help="The collection's name.")]


@app.command()
def stats(context: typer.Context, collection: Collection, json: Json = False) -> None:
    """What a collection holds, and how it is indexed."""
    found = _stored(context).stats(collection).model_dump()
    if json:
        print_json(found)
        return
    found["readers"] = ", ".join(found["readers"])
    print_table(("", ""), list(found.items()))


@app.command()
def versions(context: typer.Context, collection: Collection, json: Json = False) -> None:
    """List the versions of a collection that are kept, the latest first."""
    kept = _stored(context).versions(collection)
    if json:
        print_json([each.model_dump() for each in kept])
        return
    rows = [
        (v.name, "yes" if v.current else "", v.built_at, v.documents, v.chunks, v.model)
        for v in kept
    ]
    print_table(("version", "current", "built", "documents", "chunks", "model"), list(rows))


@app.command()
def rollback(
    context: typer.Context,
    collection: Collection,
    version: Annotated[
        str | None, typer.Argument(help="Its name; none: the last that differs from now.")
    ] = None,
) -> None:
    """Have the documents of an earlier version again; readers' rights stay as they are."""
    _tell(_stored(context).rollback(collection, version))


@app.command()
def backup(
    context: typer.Context,
    collection: Collection,
    path: Annotated[Path, typer.Argument(help="The file to write.")],
) -> None:
    """Copy a collection into one file, while it is used."""
    size = _stored(context).backup(collection, path)
    typer.echo(f"{collection}: {size:,} bytes in {path}")


@app.command()
def restore(
    context: typer.Context,
    collection: Collection,
    path: Annotated[Path, typer.Argument(help="A file that `backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Also in the place of one that is there.")
    ] = False,
) -> None:
    """Make a collection of a backup."""
    _tell(_stored(context).restore(collection, path, replace=replace))


@app.command()
def readers(
    context: typer.Context,
    collection: Collection,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="everyone, a principal's id, team:…, channel:… or group:…"),
    ] = None,
    document: Annotated[
        list[str] | None, typer.Option(help="A document or a folder of them; may be repeated.")
    ] = None,
    inherit: Annotated[
        bool, typer.Option("--inherit", help="Give the documents no readers of their own.")
    ] = False,
    json: Json = False,
) -> None:
    """Show or set who may read a collection, or some of its documents."""
    knowledge = _stored(context)
    if inherit and (names or not document):
        raise InvalidRequest("--inherit stands with --document and without names.")
    if document and (names or inherit):
        meant = knowledge.set_document_readers(collection, document, None if inherit else names)
        typer.echo(f"{collection}: {len(meant)} documents set")
    elif names:
        knowledge.set_readers(collection, names)
    _show_readers(knowledge, collection, json)


def _show_readers(knowledge: "KnowledgeBase", collection: str, json: bool) -> None:
    """The collection's readers, and the documents that have readers of their own."""
    whole = knowledge.stats(collection).readers
    own = {d.source: d.readers for d in knowledge.documents(collection) if d.readers is not None}
    if json:
        print_json({"readers": whole, "documents": own})
        return
    rows = [("(collection)", ", ".join(whole))]
    rows += [(source, ", ".join(said)) for source, said in own.items()]
    print_table(("document", "readers"), list(rows))


def _stored(context: typer.Context) -> "KnowledgeBase":
    from knowledge import KnowledgeBase

    return KnowledgeBase.open(settings(context))


def _tell(stats: "CollectionStats") -> None:
    typer.echo(
        f"{stats.collection}: {stats.documents} documents, {stats.chunks} chunks, "
        f"version {stats.version}"
    )
