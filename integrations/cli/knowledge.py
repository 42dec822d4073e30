"""`llmasos knowledge`: collections of documents from the command line.

Where no system runs, a command that needs vectors uses an engine that this home's programs share.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from integrations.cli import knowledge_keeping, knowledge_sync
from integrations.cli.console import Json, note, print_json, print_table, settings
from integrations.cli.evaluate import add_evaluate
from integrations.cli.knowledge_opening import opened, stored
from integrations.cli.knowledge_reporting import progress, tell
from llmasos.errors import InvalidRequest, LLMasOSError
from llmasos.request import LOCAL, Principal

if TYPE_CHECKING:  # `--help` must not wait for it
    from knowledge import KnowledgeBase
    from llmasos.retrieval import Passage

app = typer.Typer()
app.add_typer(knowledge_sync.app)
app.add_typer(knowledge_keeping.app)
Collection = Annotated[str, typer.Argument(help="The collection's name.")]
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
    with opened(settings(context)) as knowledge, progress() as notify:
        report = knowledge.add(collection, sources, progress=notify)
    tell(report, json=json)


@app.command()
def search(  # noqa: PLR0913  (a command's options)
    context: typer.Context,
    collection: Collection,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many passages.")] = 5,
    where: Annotated[
        list[str] | None,
        typer.Option("--filter", help="FIELD=VALUE that documents must have, as path='guide/*'."),
    ] = None,
    reader: Annotated[
        str,
        typer.Option("--as", help="Whose rights count: a principal's id, team:…, group:…"),
    ] = "local",
    explain: Annotated[bool, typer.Option("--explain", help="Say how each was found.")] = False,
    json: Json = False,
) -> None:
    """Find the passages that answer a query best."""
    with opened(settings(context)) as knowledge:
        passages = knowledge.search(
            query,
            collections=[collection],
            principal=_named(reader),
            k=k,
            filter=_filter(where or []),
            explain=explain,
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


def _named(reader: str) -> Principal:
    """Who is meant by a reader's name."""
    kind, _, name = reader.partition(":")
    if kind not in ("team", "channel", "group"):
        return LOCAL if reader == LOCAL.id else Principal(id=reader)
    own = {"groups": (name,)} if kind == "group" else {kind: name}
    return Principal.model_validate({"id": reader, **own})


def _filter(conditions: list[str]) -> dict[str, list[str]]:
    """The values of each field, of which one is enough. Raises InvalidRequest."""
    wanted: dict[str, list[str]] = {}
    for each in conditions:
        field, equals, value = each.partition("=")
        if not equals:
            raise InvalidRequest(f"--filter takes FIELD=VALUE, not '{each}'.")
        wanted.setdefault(field, []).append(value)
    return wanted


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
    knowledge = stored(settings(context))
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
    report = stored(settings(context)).remove(collection, sources or None)
    whole = "" if sources else " and the collection itself"
    typer.echo(f"{collection}: {len(report.removed)} documents removed{whole}")


@app.command()
def rebuild(context: typer.Context, collection: Collection) -> None:
    """Check a collection and make its index again; embed again if the model changed."""
    with opened(settings(context)) as knowledge, progress() as notify:
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


add_evaluate(app, opened)
