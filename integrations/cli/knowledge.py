"""`llmasos knowledge`: collections of documents from the command line.

Where no system runs, a command that needs vectors starts an engine for itself and stops it after.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Annotated

import typer

from integrations.cli.console import Json, note, print_json, print_table, settings
from llmasos.errors import LLMasOSError
from llmasos.settings import Settings

if TYPE_CHECKING:  # `--help` must not wait for it
    from knowledge import KnowledgeBase, Progress, Report, Server
    from knowledge.report import Notify

app = typer.Typer()
Collection = Annotated[str, typer.Argument(help="The collection's name.")]
SHOWN = 300
"""Characters of a passage that a search prints."""


@app.command()
def add(
    context: typer.Context,
    collection: Collection,
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders with files.")],
    json: Json = False,
) -> None:
    """Add documents; those that have not changed are left alone. Makes the collection."""
    with _knowledge(settings(context)) as knowledge, _progress() as notify:
        report = knowledge.add(collection, paths, progress=notify)
    for failure in report.failed:
        note(f"not added: {failure.source}: {failure.reason}")
    if json:
        print_json(report.model_dump())
    else:
        typer.echo(_summary(report))
    if report.failed and not (report.added or report.changed or report.unchanged):
        raise typer.Exit(1)


@app.command()
def search(
    context: typer.Context,
    collection: Collection,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many passages.")] = 5,
    json: Json = False,
) -> None:
    """Find the passages nearest to a query."""
    from llmasos.request import LOCAL

    with _knowledge(settings(context)) as knowledge:
        passages = knowledge.search(query, collections=[collection], principal=LOCAL, k=k)
    if json:
        print_json({"passages": [each.model_dump() for each in passages]})
        return
    for each in passages:
        text = " ".join(each.text.split())
        typer.echo(f"{each.score:.3f}  {each.source}  {each.title}")
        typer.echo(f"       {text[:SHOWN]}{'…' if len(text) > SHOWN else ''}\n")


@app.command("list")
def list_(
    context: typer.Context,
    collection: Annotated[
        str | None, typer.Argument(help="A collection, to list its documents.")
    ] = None,
    json: Json = False,
) -> None:
    """List the collections, or the documents of one."""
    knowledge = _stored(settings(context))
    if collection is None:
        _list_collections(knowledge, json)
        return
    documents = knowledge.documents(collection)
    if json:
        print_json([each.model_dump() for each in documents])
    else:
        rows = [(d.source, d.title, d.chunks, d.bytes, d.added_at) for d in documents]
        print_table(("source", "title", "chunks", "bytes", "added"), list(rows))


@app.command()
def remove(
    context: typer.Context,
    collection: Collection,
    sources: Annotated[
        list[str] | None, typer.Argument(help="Documents, or folders of them; none: everything.")
    ] = None,
) -> None:
    """Remove documents, or with no source the whole collection."""
    report = _stored(settings(context)).remove(collection, sources or None)
    whole = "" if sources else " and the collection itself"
    typer.echo(f"{collection}: {len(report.removed)} documents removed{whole}")


@app.command()
def rebuild(context: typer.Context, collection: Collection) -> None:
    """Check a collection and make its index again; embed again if the model changed."""
    with _knowledge(settings(context)) as knowledge, _progress() as notify:
        stats = knowledge.rebuild(collection, progress=notify)
    typer.echo(f"{collection}: {stats.chunks} chunks, {stats.model}, version {stats.version}")


def _list_collections(knowledge: "KnowledgeBase", json: bool) -> None:
    """Each collection with what it holds; a damaged one does not hide the others."""
    found = []
    damaged = []
    for name in knowledge.collections():
        try:
            found.append(knowledge.stats(name))
        except LLMasOSError as error:
            damaged.append({"collection": name, "error": str(error)})
    if json:
        print_json([*(each.model_dump() for each in found), *damaged])
        return
    for each in damaged:
        note(f"llmasos: {each['error']}")
    rows = [(s.collection, s.documents, s.chunks, s.bytes, s.model) for s in found]
    print_table(("collection", "documents", "chunks", "bytes", "model"), list(rows))


def _summary(report: "Report") -> str:
    counts = (
        (len(report.added), "added"),
        (len(report.changed), "changed"),
        (len(report.unchanged), "unchanged"),
        (len(report.failed), "failed"),
    )
    said = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"{report.collection}: {said or 'nothing to do'}"


@contextmanager
def _knowledge(settings: Settings) -> Iterator["KnowledgeBase"]:
    """The knowledge base, with an embedding server: the one in force, or an engine of our own."""
    from knowledge import HttpEmbedder, KnowledgeBase, Server
    from llmasos.system import addresses

    with ExitStack() as stack:

        @cache
        def own_engine() -> Server:  # started by the first text that needs it, if any does
            return stack.enter_context(_engine(settings))

        if addresses(settings).embedding_url:
            embedder = HttpEmbedder.from_settings(settings)
        else:
            embedder = HttpEmbedder(own_engine, settings.embedding.model)
        stack.callback(embedder.close)
        knowledge = KnowledgeBase(settings.knowledge_dir, embedder)
        stack.callback(knowledge.close)
        yield knowledge


@contextmanager
def _engine(settings: Settings) -> Iterator["Server"]:
    """An engine of our own for as long as this command needs one."""
    from knowledge import Server
    from llmasos.engine.launch import EngineProcess

    note("Starting an engine …")
    key = token_urlsafe(24)
    with EngineProcess.start(settings, key=key) as engine:
        yield Server(engine.url, key)


def _stored(settings: Settings) -> "KnowledgeBase":
    """The knowledge base for what needs no vectors: nothing is started."""
    from knowledge import KnowledgeBase

    return KnowledgeBase.from_settings(settings)


@contextmanager
def _progress() -> Iterator["Notify"]:
    """A bar on standard error where a person looks at it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("")

        def show(progress: "Progress") -> None:
            bar.update(
                task, completed=progress.done, total=progress.total, description=progress.source
            )

        yield show
