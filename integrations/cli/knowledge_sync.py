"""`llmasos knowledge sync | sources`: collections that follow files, folders and web pages."""

from typing import TYPE_CHECKING, Annotated

import typer

from integrations.cli.console import Json, note, print_json, printable, settings
from integrations.cli.knowledge_opening import opened, stored
from integrations.cli.knowledge_reporting import progress, tell
from llmasos.errors import InvalidRequest
from llmasos.settings import Settings

if TYPE_CHECKING:  # `--help` must not wait for it
    from integrations.app import Doors
    from llmasos.jobs import Job

app = typer.Typer()
Collection = Annotated[str, typer.Argument(help="The collection's name.")]
TICK = 0.2
"""Seconds between two looks at a job that says nothing."""


@app.command()
def sync(  # noqa: PLR0913  (a command's options)
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
    job: Annotated[
        bool, typer.Option("--job", help="Have a worker do it; Ctrl-C leaves it running.")
    ] = False,
    json: Json = False,
) -> None:
    """Mirror sources: add what is new or changed, follow what moved, remove what is gone."""
    here = settings(context)
    if job:
        if dry_run or allow_empty:
            raise InvalidRequest("A job takes neither --dry-run nor --allow-empty.")
        _sync_by_job(here, collection, sources or [], json=json)
        return
    from knowledge.mirroring import SyncOptions

    options = SyncOptions(dry_run=dry_run, allow_empty=allow_empty)
    with opened(here) as knowledge, progress() as notify:
        report = knowledge.sync(collection, sources or (), options, progress=notify)
    tell(report, json=json, lines=dry_run)


@app.command("sources")
def sources_(
    context: typer.Context,
    collection: Collection,
    add: Annotated[
        list[str] | None, typer.Option(help="Mirror this as well, from the next sync on.")
    ] = None,
    forget: Annotated[
        list[str] | None, typer.Option(help="Mirror this no longer; its documents stay.")
    ] = None,
    json: Json = False,
) -> None:
    """List what a collection mirrors, or say what it should."""
    if add:
        with opened(settings(context)) as knowledge:
            knowledge.remember(collection, add)
    knowledge = stored(settings(context))
    if forget:
        knowledge.forget(collection, forget)
    found = knowledge.sources(collection)
    if json:
        print_json(found)
    else:
        for each in found:
            typer.echo(each)


def _sync_by_job(here: Settings, collection: str, sources: list[str], *, json: bool) -> None:
    """Submit a job, follow it and show what came of it; exit with 1 when it failed."""
    from agents.knowledge_sync import NAME, request_to
    from integrations.inline import doors_here
    from llmasos.request import LOCAL

    with doors_here(here, NAME, note) as doors:
        if sources:
            doors.knowledge.remember(collection, sources)
        elif not doors.knowledge.sources(collection):
            raise InvalidRequest(
                f"Collection '{collection}' mirrors no source yet. Name one: "
                f"llmasos knowledge sync {collection} SOURCE --job"
            )
        submitted = doors.jobs.submit(request_to(collection, LOCAL)).job
        note(f"Job {submitted.id}")
        try:
            done = _followed(doors, submitted)
        except KeyboardInterrupt:
            if not doors.own_worker:
                note(f"\nIt goes on; `llmasos jobs cancel {submitted.id}` stops it.")
            raise typer.Exit(1) from None
    if json:
        print_json(done.as_json())
    elif done.reply is not None:
        typer.echo(printable(done.reply.text))
    if done.error is not None:
        note(f"llmasos: {done.error.message}")
        raise typer.Exit(1)


def _followed(doors: "Doors", job: "Job") -> "Job":
    """The finished job; until then, what it says goes to standard error."""
    from integrations.following import follow
    from llmasos.events import Status

    if not doors.has_worker():
        note("No worker runs now; the job is stored and waits.")
    for each in follow(doors.jobs, doors.bus, job.id, tick=TICK):
        if each is not None and each.job is not None:
            return each.job
        if each is not None and isinstance(each.event, Status):
            note(printable(each.event.text))
    raise AssertionError("a job's events end with its outcome")
