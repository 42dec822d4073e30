"""`llmasos ask`: one question, one answer, on standard output alone."""

import sys
from typing import Annotated

import typer

from integrations.cli.artifacts import Save, told
from integrations.cli.console import Json, note, print_json, settings
from llmasos.errors import InvalidRequest


def command(  # noqa: PLR0913  (a command's options)
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What to ask; `-` reads standard input.")],
    agent: Annotated[str, typer.Option(help="The agent that answers; `auto` finds one.")] = "auto",
    conversation: Annotated[
        str | None, typer.Option(help="Go on with this conversation, or begin it.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait.")] = 300.0,
    save: Save = None,
    as_json: Json = False,
) -> None:
    """Ask an agent one thing; the answer is all that is printed."""
    from integrations.cli import answering  # late, as below: `--help` must not wait for it
    from integrations.inline import doors_here
    from llmasos.request import LOCAL, Request, conversation_of

    here = settings(context)
    named = conversation_of(LOCAL, conversation) if conversation else None
    request = Request(agent=agent, text=_read() if text == "-" else text, conversation=named)
    try:
        with doors_here(here, agent, note) as doors:
            job = answering.ask(doors, request, answering.view(as_json), timeout)
    except KeyboardInterrupt:
        note("\nCancelled.")
        raise typer.Exit(1) from None
    lines = told(job.id, job.reply, save) if job.reply else []
    if as_json:
        print_json(job.as_json())
    elif job.error is not None:
        note(f"llmasos: {job.error.message}")
    for line in lines if save or not as_json else ():
        note(line)
    if job.error is not None:
        raise typer.Exit(1)


def _read() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"Standard input is not text in UTF-8: {error}") from error
