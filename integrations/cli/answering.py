"""Asking from a terminal: submit, follow, show; what `ask` and `chat` share.

Standard output gets the answer alone; to a terminal it comes as it is written, with sources and
status on standard error. Start reading at `ask`.
"""

import sys
import time
from typing import Protocol

import structlog

from integrations.app import Doors
from integrations.cli.console import printable
from integrations.following import Followed, follow
from llmasos.channels import how_to_decide
from llmasos.errors import LLMasOSError, WrongJobState
from llmasos.events import Approval, Failure, Reply, Restarted, Status, Token
from llmasos.jobs import Job
from llmasos.request import Request

log = structlog.get_logger()

LONELY = 5.0
"""Seconds of silence after which it is said that nobody works."""


class JobGoesOn(LLMasOSError):
    """The wait for an answer ended before the job did."""


class View(Protocol):
    """Shows an answer while it comes. Implementations: `Terminal`, `Plain`."""

    def show(self, event: object) -> None:
        """Show an event as it comes."""
        ...

    def finish(self, outcome: Reply | Failure) -> None:
        """Show the end."""
        ...


class Plain:
    """For pipes and scripts: the answer, and nothing else."""

    def show(self, event: object) -> None:
        """Nothing: what comes before the end is not yet the answer."""

    def finish(self, outcome: Reply | Failure) -> None:
        """Print the answer."""
        if isinstance(outcome, Reply):
            print(outcome.text, flush=True)


class Nothing:
    """For `--json`: the job is printed by whoever asked."""

    def show(self, event: object) -> None:
        """Nothing."""

    def finish(self, outcome: Reply | Failure) -> None:
        """Nothing."""


class Terminal:
    """For a person: the text as it is written, the status while it is awaited, the sources."""

    def __init__(self) -> None:
        self._shown = ""
        self._status = False

    def show(self, event: object) -> None:
        """Show a piece of the answer or a status."""
        if isinstance(event, Token):
            self._clear()
            self._write(event.text)
        elif isinstance(event, Restarted):
            self._clear()
            if self._shown:
                print("\n(again from the start)", file=sys.stderr)
            self._shown = ""
        elif isinstance(event, Status) and not self._shown:
            self._clear()
            print(f"\x1b[2m{printable(event.text)}\x1b[0m", end="", file=sys.stderr, flush=True)
            self._status = True

    def finish(self, outcome: Reply | Failure) -> None:
        """Show what is still missing of the answer, and its sources."""
        self._clear()
        if isinstance(outcome, Failure):
            if self._shown:
                print()
            return
        if outcome.text.startswith(self._shown):
            self._write(outcome.text[len(self._shown) :])
        elif outcome.text.strip() != self._shown.strip():  # what was streamed is not the answer
            print("\n")
            self._write(outcome.text)
        print(flush=True)
        for number, each in enumerate(outcome.citations, 1):
            line = f"[{number}] {each.title} ({each.source})"
            print(f"\x1b[2m{printable(line)}\x1b[0m", file=sys.stderr)
        self._shown = ""

    def _write(self, text: str) -> None:
        self._shown += text
        print(printable(text), end="", flush=True)

    def _clear(self) -> None:
        if self._status:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._status = False


def view(as_json: bool) -> View:
    """The view that suits where standard output goes."""
    if as_json:
        return Nothing()
    return Terminal() if sys.stdout.isatty() else Plain()


def ask(doors: Doors, request: Request, shown: View, timeout: float) -> Job:
    """Ask, show the answer as it comes, and give the finished job.

    timeout: seconds to wait. An interrupt cancels the job and passes on.
    Raises JobGoesOn when the time is up, and what `Jobs.submit` raises.
    """
    job = doors.jobs.submit(request).job
    try:
        return _follow(doors, job, shown, timeout)
    except KeyboardInterrupt:
        cancel(doors, job.id)
        raise


def cancel(doors: Doors, job_id: str) -> None:
    """Cancel a job unless it is finished already."""
    try:
        doors.jobs.cancel(job_id)
    except WrongJobState:
        log.debug("job.finished_before", job=job_id)


def _follow(doors: Doors, job: Job, shown: View, timeout: float) -> Job:
    began = time.monotonic()
    heard = told = False
    for each in follow(doors.jobs, doors.bus, job.id, tick=0.2):
        if each is not None:
            heard = True
            if each.job is not None:
                return _finished(each, shown)
            if isinstance(each.event, Approval):
                question = printable(each.event.question)
                print(f"\n{question}\n{how_to_decide(job.id)}", file=sys.stderr)
            shown.show(each.event)
        waited = time.monotonic() - began
        if waited > timeout:
            raise JobGoesOn(
                f"No answer within {timeout:g} seconds. Job {job.id} goes on: "
                f"`llmasos jobs show {job.id}` has its answer, `llmasos jobs cancel {job.id}` "
                "stops it."
            )
        if not heard and not told and waited > LONELY and not doors.has_worker():
            told = True
            print("No worker runs now; the question is stored and waits.", file=sys.stderr)
    raise AssertionError("a job's events end with its outcome")


def _finished(last: Followed, shown: View) -> Job:
    assert last.job is not None
    if isinstance(last.event, Reply | Failure):
        shown.finish(last.event)
    return last.job
