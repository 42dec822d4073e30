"""`llmasos knowledge`: collections of documents from the command line.

Where no system runs, a command that needs vectors uses an engine that this home's programs share.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from integrations.cli import knowledge_keeping
from integrations.cli.console import Json, note, print_json, print_table, settings
from integrations.cli.evaluate import add_evaluate
from llmasos.errors import LLMasOSError
from llmasos.settings import Settings

if TYPE_CHECKING:  # `--help` must not wait for it
    from knowledge import KnowledgeBase, Progress, Report, Server
    from knowledge.report import Notify
    from llmasos.retrieval import Passage

app = typer.Typer()
app.add_typer(knowledge_keeping.app)
Collection = Annotated[str, typer.Argument(help="The collection's name.")]
PACE = 5.0
"""Seconds between two lines on the progress."""
SHOWN = 300
"""Characters of a passage that a search prints."""


@app.command()
def add(
    context: typer.Context,
    collection: Collection,
    sources: Annotated[
        list[str], typer.Argument(help="Files, folders, globs, zip archives, web addresses.")
    ],
    json: Json = False,
) -> None:
    """Add documents; those that have not changed are left alone. Makes the collection."""
    with _knowledge(settings(context)) as knowledge, _progress() as notify:
        report = knowledge.add(collection, sources, progress=notify)
    _tell(report, json=json)


@app.command()
def sync(
    context: typer.Context,
    collection: Collection,
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="As for add; none: those that were mirrored before."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Follow a source that is empty or gone as well.")
    ] = False,
    json: Json = False,
) -> None:
    """Mirror sources: add what is new or changed, follow what moved, remove what is gone."""
    from knowledge.mirroring import SyncOptions

    options = SyncOptions(dry_run=dry_run, allow_empty=allow_empty)
    with _knowledge(settings(context)) as knowledge, _progress() as notify:
        report = knowledge.sync(collection, sources or (), options, progress=notify)
    _tell(report, json=json, lines=dry_run)


@app.command()
def search(
    context: typer.Context,
    collection: Collection,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many passages.")] = 5,
    explain: Annotated[bool, typer.Option("--explain", help="Say how each was found.")] = False,
    json: Json = False,
) -> None:
    """Find the passages that answer a query best."""
    from llmasos.request import LOCAL

    with _knowledge(settings(context)) as knowledge:
        passages = knowledge.search(
            query, collections=[collection], principal=LOCAL, k=k, explain=explain
        )
    if json:
        print_json({"passages": [each.model_dump() for each in passages]})
        return
    for each in passages:
        text = " ".join(each.text.split())
        typer.echo(f"{each.score:.3f}  {each.source}  {each.title}")
        if each.explanation:
            typer.echo(f"       {_how(each)}")
        typer.echo(f"       {text[:SHOWN]}{'…' if len(text) > SHOWN else ''}\n")


def _how(passage: "Passage") -> str:
    """How a passage was found, in a line."""
    how = passage.explanation
    assert how is not None
    found = {"meaning": how.vector_rank, "keywords": how.keyword_rank}
    ranks = " and ".join(f"by {half} in place {rank}" for half, rank in found.items() if rank)
    figures = {
        "cosine": passage.similarity,
        "BM25": how.bm25,
        "weight of keywords": how.keyword_weight,
        "reranked": how.reranked,
        "relevance": passage.relevance,
    }
    told = ", ".join(f"{name} {value:.3f}" for name, value in figures.items() if value is not None)
    return f"found {ranks or 'beside another'}; {told}"


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


def _tell(report: "Report", *, json: bool, lines: bool = False) -> None:
    """Print a report, in lines or as a whole; exit with 1 when all that was done is failing."""
    for failure in report.failed:
        note(f"not added: {failure.source}: {failure.reason}")
    if json:
        print_json(report.model_dump())
    else:
        for line in _lines(report) if lines else ():
            typer.echo(line)
        typer.echo(_summary(report))
    done = report.added or report.changed or report.unchanged or report.moved or report.removed
    if report.failed and not done:
        raise typer.Exit(1)


def _lines(report: "Report") -> Iterator[str]:
    """A line a document."""
    for word in ("added", "changed", "unchanged", "removed"):
        yield from (f"{word}: {source}" for source in getattr(report, word))
    yield from (f"moved: {before} -> {source}" for source, before in report.moved.items())
    yield from (f"skipped: {each.source}: {each.reason}" for each in report.skipped)


def _summary(report: "Report") -> str:
    counts = (
        (len(report.added), "added"),
        (len(report.changed), "changed"),
        (len(report.unchanged), "unchanged"),
        (len(report.moved), "moved"),
        (len(report.removed), "removed"),
        (len(report.failed), "failed"),
    )
    said = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"{report.collection}: {said or 'nothing to do'}"


@contextmanager
def _knowledge(settings: Settings) -> Iterator["KnowledgeBase"]:
    """The knowledge base, with an embedding server: the one in force, or an engine of our own."""
    from knowledge import HttpEmbedder, KnowledgeBase, Server
    from knowledge.embedding import tokens_of
    from knowledge.retrieve import Tuning
    from llmasos.system import addresses

    with ExitStack() as stack:
        started: list[Server] = []
        starting = Lock()

        def own_engine() -> Server:  # started by the first text that needs it, if any does
            with starting:
                if not started:
                    started.append(stack.enter_context(_engine(settings)))
            return started[0]

        if addresses(settings).embedding_url:
            embedder = HttpEmbedder.from_settings(settings)
        else:
            embedder = HttpEmbedder(own_engine, settings.embedding.model, tokens_of(settings))
        stack.callback(embedder.close)
        knowledge = KnowledgeBase(
            settings.knowledge_dir, embedder, settings.knowledge, Tuning.of(settings)
        )
        stack.callback(knowledge.close)
        yield knowledge


@contextmanager
def _engine(settings: Settings) -> Iterator["Server"]:
    """The engine that the programs of this home share, for as long as this command needs it."""
    from knowledge import Server
    from llmasos.engine.serving import embedding_only
    from llmasos.engine.sharing import needed

    served = embedding_only(settings)
    with needed(settings, [served], lambda: note("Starting an engine …")) as (address,):
        yield Server(address.url, address.key)


def _stored(settings: Settings) -> "KnowledgeBase":
    """The knowledge base for what needs no vectors: nothing is started."""
    from knowledge import KnowledgeBase

    return KnowledgeBase.from_settings(settings)


@contextmanager
def _progress() -> Iterator["Notify"]:
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


add_evaluate(app, _knowledge)
