"""`llmasos webhooks`: those there are, what came to them, and answers that did not get through."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from integrations.cli.console import Json, note, print_json, print_table, printable, settings
from llmasos.errors import InvalidRequest, UsageError
from llmasos.settings import Settings

if TYPE_CHECKING:  # agents need LangChain: late, where they are needed
    from integrations.webhooks.hooks import Hook
    from integrations.webhooks.intake import Intake
    from integrations.webhooks.ledger import Ledger
    from integrations.webhooks.rehearsal import Rehearsal
    from llmasos.jobs import Dispatcher
    from llmasos.undelivered import DeadLetters

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A webhook's name.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many.")]


@app.command("list")
def list_hooks(context: typer.Context, as_json: Json = False) -> None:
    """The webhooks there are."""
    here = settings(context)
    _hooks(here)  # a mistake in them is better found here than by a sender
    rows = [
        (each.name, f"/hooks/{each.name}", each.source, each.agent, each.when, each.reply_to)
        for each in here.webhooks
    ]
    words = ("name", "path", "source", "agent", "when", "reply_to")
    if as_json:
        print_json([dict(zip(words, row, strict=True)) for row in rows])
        return
    print_table(
        ("NAME", "PATH", "SOURCE", "AGENT", "WHEN", "REPLIES TO"),
        [(*row[:-1], ", ".join(row[-1])) for row in rows],
    )


@app.command("test")
def try_out(
    context: typer.Context,
    name: Name,
    payload: Annotated[Path, typer.Option(help="File with the body of a delivery.")],
    header: Annotated[
        list[str] | None,
        typer.Option(help="A header of it, `NAME: VALUE`; may be given several times."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a delivery would do, without doing it; exit code 1 if it would make no job.

    The signature is checked if it is among the headers.
    """
    from integrations.webhooks.rehearsal import rehearse

    hook = _hook(settings(context), name)
    shown = rehearse(hook, _headers(header or []), _body(payload), time.time())
    if as_json:
        print_json(shown.as_json())
    else:
        _show(shown)
    if not shown.accepted:
        raise typer.Exit(1)


@app.command()
def deliveries(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Only this webhook's.")] = None,
    outcome: Annotated[
        str | None,
        typer.Option(help="Only accepted, repeated, filtered, unusable or refused ones."),
    ] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """What came in, newest first, and what became of it."""
    from integrations.webhooks.ledger import Outcome

    here = settings(context)
    if outcome is not None and outcome not in list(Outcome):
        raise UsageError(f"--outcome takes one of {', '.join(Outcome)}, not {outcome!r}.")
    with _ledger(here) as ledger:
        found = ledger.entries(name, Outcome(outcome) if outcome else None, limit)
    plain = [each.as_json() for each in found]
    if as_json:
        print_json(plain)
        return
    rows = [
        (each["id"], each["received_at"][:19].replace("T", " "), each["webhook"], each["outcome"],
         each["job"], each["sender_id"], printable(each["reason"] or ""))
        for each in plain
    ]  # fmt: skip
    print_table(("ID", "RECEIVED", "WEBHOOK", "OUTCOME", "JOB", "SENDER'S ID", "REASON"), rows)


@app.command()
def redeliver(
    context: typer.Context,
    entry_id: Annotated[int, typer.Argument(metavar="ID", help="Its number in the log.")],
    as_json: Json = False,
) -> None:
    """Take a delivery of the log once more, by today's settings."""
    from integrations.webhooks.hooks import Skipped

    with _intake(settings(context)) as intake:
        taken = intake.again(entry_id)
    if isinstance(taken, Skipped):
        raise InvalidRequest(f"Delivery {entry_id} made no job: {taken.reason}")
    if as_json:
        print_json(taken.job.as_json())
    else:
        note(f"Delivery {entry_id} {'made' if taken.new else 'had made'} job {taken.job.id}.")


@app.command()
def dead(context: typer.Context, limit: Limit = 20, as_json: Json = False) -> None:
    """Answers that could not be brought to their address and are no longer tried."""
    with _dead_letters(settings(context)) as letters:
        found = letters.latest(limit)
    if as_json:
        print_json([each.as_json() for each in found])
        return
    rows = [
        (each.job_id, each.agent, each.address, each.tries, printable(each.error)) for each in found
    ]
    print_table(("JOB", "AGENT", "ADDRESS", "TRIES", "ERROR"), rows)


@app.command()
def replay(
    context: typer.Context,
    job_id: Annotated[str | None, typer.Argument(metavar="JOB", help="Of this job.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Of all jobs.")] = False,
    as_json: Json = False,
) -> None:
    """Have such answers brought again."""
    if every == (job_id is not None):
        raise UsageError("Name a job or give --all: `llmasos webhooks dead` lists what waits.")
    with _dead_letters(settings(context)) as letters:
        again = letters.replay(job_id)
    if as_json:
        print_json([each.as_json() for each in again])
    else:
        note(f"{len(again)} answer{'' if len(again) == 1 else 's'} will be brought again.")


def _hooks(here: Settings) -> "dict[str, Hook]":
    from agents.catalog import load_catalog
    from integrations.webhooks.hooks import load_hooks

    return load_hooks(here, load_catalog(here))


def _hook(here: Settings, name: str) -> "Hook":
    from integrations.webhooks.hooks import UnknownHook

    hooks = _hooks(here)
    if name not in hooks:
        raise UnknownHook(name, tuple(hooks))
    return hooks[name]


@contextmanager
def _ledger(here: Settings) -> "Iterator[Ledger]":
    from integrations.webhooks.ledger import Ledger
    from llmasos.database import Database, require_schema

    with Database(here.state_url) as database:
        require_schema(database)
        yield Ledger(database, here.webhooks)


@contextmanager
def _intake(here: Settings) -> "Iterator[Intake]":
    """The intake of this home, whether a system runs or not; a worker is woken if one does."""
    from integrations.app import open_doors
    from integrations.webhooks.hooks import load_hooks
    from integrations.webhooks.intake import Intake
    from integrations.webhooks.ledger import Ledger
    from llmasos.bus import MemoryBus

    doors = open_doors(here, _dispatcher(here), MemoryBus())
    try:
        ledger = Ledger(doors.database, here.webhooks)
        yield Intake(load_hooks(here, doors.catalog), doors.jobs, ledger)
    finally:
        doors.close()


@contextmanager
def _dead_letters(here: Settings) -> "Iterator[DeadLetters]":
    from llmasos.database import Database, require_schema
    from llmasos.undelivered import DeadLetters

    with Database(here.state_url) as database:
        require_schema(database)
        yield DeadLetters(database, _dispatcher(here))


def _dispatcher(here: Settings) -> "Dispatcher":
    """What wakes a worker, if a system runs."""
    from llmasos.system import addresses
    from workers.inline import InlineDispatcher

    broker = addresses(here).broker_url
    if not broker:
        return InlineDispatcher()
    from workers.dispatcher import CeleryDispatcher  # late: Celery is slow to import

    return CeleryDispatcher(broker)


def _headers(given: list[str]) -> dict[str, str]:
    """The headers that stand on the command line."""
    parts = [each.partition(":") for each in given]
    for name, colon, _ in parts:
        if not name.strip() or not colon:
            raise UsageError(f"--header takes `NAME: VALUE`, not {name[:80]!r}.")
    return {name.strip().lower(): value.strip() for name, _, value in parts}


def _body(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"--payload {path} cannot be read: {error.strerror}") from error


def _show(shown: "Rehearsal") -> None:
    """Print a rehearsal for a person."""
    steps = {True: "yes", False: "no", None: "not checked"}
    known = shown.sender_id or ("its body" if shown.genuine else None)
    rows = [
        ("webhook", shown.webhook),
        ("genuine", steps[shown.genuine]),
        ("repeats known by", known),
        ("event", printable(shown.event["kind"]) if shown.event else None),
        ("passes `when`", steps[shown.passes_filter]),
        ("agent", shown.agent),
        ("replies to", ", ".join(shown.reply_to) or "nowhere: read the job"),
        ("tag", shown.tag and printable(shown.tag)),
        ("makes a job", steps[shown.accepted]),
        ("because", shown.reason and printable(shown.reason)),
    ]
    print_table(("", ""), [row for row in rows if row[1] is not None])
    if shown.prompt is not None:
        typer.echo(f"\n{printable(shown.prompt)}")
