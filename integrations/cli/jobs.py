"""`llmasos jobs`: what was asked and what became of it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from integrations.cli.artifacts import Save, told
from integrations.cli.console import Json, note, print_json, print_table, printable, settings
from llmasos.channels import how_to_decide
from llmasos.database import Database, require_schema
from llmasos.jobs import Dispatcher, Job, Jobs, JobStatus, iso
from llmasos.queues import Limits
from llmasos.request import LOCAL
from llmasos.schedules import Schedules
from llmasos.settings import Settings
from llmasos.system import addresses
from workers.inline import InlineDispatcher

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Id = Annotated[str, typer.Argument(metavar="JOB", help="A job's id.")]


@app.command("list")
def list_jobs(  # noqa: PLR0913  (a command's options)
    context: typer.Context,
    status: Annotated[JobStatus | None, typer.Option(help="Only jobs in this state.")] = None,
    agent: Annotated[str | None, typer.Option(help="Only this agent's jobs.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    before: Annotated[str | None, typer.Option(help="Only jobs older than this one.")] = None,
    dead: Annotated[
        bool, typer.Option("--dead", help="Only jobs that failed for good; `retry` runs them.")
    ] = False,
    as_json: Json = False,
) -> None:
    """The latest jobs, newest first."""
    if dead and status not in (None, JobStatus.FAILED):
        raise typer.BadParameter("a dead job has failed: leave --status out", param_hint="--dead")
    with _jobs(settings(context)) as jobs:
        found = jobs.list(JobStatus.FAILED if dead else status, agent, limit, before)
    if as_json:
        print_json([job.as_json() for job in found])
        return
    rows = [
        (job.id, job.agent, _state(job), _when(job), job.attempts, _cut(job.request.text, 60))
        for job in found
    ]
    print_table(("ID", "AGENT", "STATUS", "CREATED", "ATTEMPTS", "MESSAGE"), rows)


@app.command()
def show(context: typer.Context, job_id: Id, save: Save = None, as_json: Json = False) -> None:
    """One job: its message, its answer, what went wrong."""
    with _jobs(settings(context)) as jobs:
        job = jobs.find(job_id)
    lines = told(job.id, job.reply, save) if job.reply else []
    if as_json:
        print_json(job.as_json())
    else:
        _describe(job)
    for line in lines if save or not as_json else ():
        note(line)


@app.command()
def cancel(context: typer.Context, job_id: Id, as_json: Json = False) -> None:
    """Stop a job."""
    with _jobs(settings(context)) as jobs:
        job = jobs.cancel(job_id)
    done = "cancelled" if job.status.finished else "told to stop"
    _tell(job, f"Job {job.id} is {done}.", as_json)


@app.command()
def retry(context: typer.Context, job_id: Id, as_json: Json = False) -> None:
    """Run a failed or cancelled job again."""
    with _jobs(settings(context)) as jobs:
        job = jobs.retry(job_id)
    _tell(job, f"Job {job.id} is queued again.", as_json)


@app.command()
def approve(context: typer.Context, job_id: Id, as_json: Json = False) -> None:
    """Let a job do what it asked for; `llmasos jobs show` says what that is."""
    with _jobs(settings(context)) as jobs:
        job = jobs.decide(job_id, granted=True, by=LOCAL)
    _tell(job, f"Approved: job {job.id} goes on.", as_json)


@app.command()
def decline(context: typer.Context, job_id: Id, as_json: Json = False) -> None:
    """Do not let a job do what it asked for."""
    with _jobs(settings(context)) as jobs:
        job = jobs.decide(job_id, granted=False, by=LOCAL)
    _tell(job, f"Declined: job {job.id} will not do it.", as_json)


@app.command()
def schedules(context: typer.Context, as_json: Json = False) -> None:
    """The messages that are sent by the clock, the next to come first."""
    here = settings(context)
    with Database(here.state_url) as database:
        require_schema(database)
        found = Schedules(database, here.schedules).upcoming(time.time())
    if as_json:
        print_json(
            [
                {
                    **each.schedule.model_dump(mode="json"),
                    "next_at": iso(each.next_at),
                    "last_at": iso(each.last_at),
                }
                for each in found
            ]
        )
        return
    rows = [
        (
            each.schedule.name,
            each.schedule.cron,
            each.schedule.timezone,
            each.schedule.agent,
            _minute(each.next_at),
            _minute(each.last_at),
        )
        for each in found
    ]
    print_table(("NAME", "CRON", "TIMEZONE", "AGENT", "NEXT (UTC)", "LAST (UTC)"), rows)


@contextmanager
def _jobs(here: Settings) -> Iterator[Jobs]:
    """The jobs of this home, whether a system runs or not; a worker is woken if one does."""
    where = addresses(here)
    with Database(here.state_url) as database:
        require_schema(database)
        dispatcher: Dispatcher = InlineDispatcher()
        if where.broker_url:
            from workers.dispatcher import CeleryDispatcher  # late: Celery is slow to import

            dispatcher = CeleryDispatcher(where.broker_url)
        yield Jobs(
            database,
            dispatcher,
            here.jobs,
            (),
            (),
            may_use=lambda *_: False,
            shares=Limits.from_settings(here),
        )


def _tell(job: Job, words: str, as_json: bool) -> None:
    """Say what became of a job, or show it as it is now."""
    if as_json:
        print_json(job.as_json())
    else:
        note(words)


def _describe(job: Job) -> None:
    """Print a job for a person."""
    plain = job.as_json()
    rows = [
        (word, plain[word])
        for word in ("id", "agent", "status", "attempts", "created_at", "started_at", "finished_at")
    ]
    if job.waiting_for:
        rows.append(("waiting for", job.waiting_for))
    rows.append(("from", job.request.principal.id))
    rows += [(f"to {each.address}", each.state) for each in job.deliveries]
    print_table(("", ""), rows)
    typer.echo(f"\n{printable(job.request.text)}")
    if job.waiting is not None:
        typer.echo(f"\n{printable(job.waiting.approval.question)}")
        typer.echo(printable(json.dumps(job.waiting.approval.payload, ensure_ascii=False)))
        typer.echo(how_to_decide(job.id))
    if job.reply is not None:
        typer.echo(f"\n{printable(job.reply.text)}")
        for number, each in enumerate(job.reply.citations, 1):
            typer.echo(printable(f"[{number}] {each.title} ({each.source})"))
    if job.error is not None:
        typer.echo(f"\n{job.error.type}: {printable(job.error.message)}")


def _state(job: Job) -> str:
    """The status, and what is to be known with it: what it waits for, or why it failed."""
    more = job.waiting_for or (job.error.type if job.error else "")
    return f"{job.status} ({_cut(more, 50)})" if more else str(job.status)


def _when(job: Job) -> str:
    return str(job.as_json()["created_at"])[:19].replace("T", " ")


def _minute(seconds: float | None) -> str:
    return (iso(seconds) or "never")[:16].replace("T", " ")


def _cut(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
