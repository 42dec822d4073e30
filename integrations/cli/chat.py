"""`llmasos chat`: a conversation with an agent, in the terminal."""

import secrets
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from integrations.cli.artifacts import told
from integrations.cli.console import note, settings
from llmasos.errors import LLMasOSError

if TYPE_CHECKING:  # `--help` must not wait for it
    from integrations.app import Doors

QUIT = ("/quit", "/exit")


def command(
    context: typer.Context,
    agent: Annotated[str, typer.Option(help="The agent that answers; `auto` finds one.")] = "auto",
    conversation: Annotated[
        str | None, typer.Option(help="Go on with this conversation [default: a new one].")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for an answer.")] = 300.0,
) -> None:
    """Talk with an agent. /quit or Ctrl-D ends it, Ctrl-C stops an answer."""
    from integrations.cli import answering  # late, as below
    from integrations.inline import doors_here
    from llmasos.request import LOCAL, Request, conversation_of

    here = settings(context)
    name = conversation_of(LOCAL, conversation or secrets.token_hex(8))

    def answer(doors: "Doors", text: str) -> None:
        request = Request(agent=agent, text=text, conversation=name)
        job = answering.ask(doors, request, answering.view(as_json=False), timeout)
        if job.error is not None:
            note(f"llmasos: {job.error.message}")
        for line in told(job.id, job.reply, None) if job.reply else ():
            note(line)

    with doors_here(here, agent, note) as doors:
        if sys.stdin.isatty():
            note(f"You talk with {agent}. /quit or Ctrl-D ends it, Ctrl-C stops an answer.")
        for text in _messages():
            try:
                answer(doors, text)
            except KeyboardInterrupt:
                note("\nStopped.")
            except LLMasOSError as error:  # the next question may fare better
                note(f"llmasos: {error}")


def _messages() -> Iterator[str]:
    """What is typed, line by line, until /quit, Ctrl-D or Ctrl-C."""
    asks = sys.stdin.isatty()
    if asks:
        import readline  # noqa: F401  (gives `input` a history and its keys)
    while True:
        try:
            line = input("\n> " if asks else "").strip()
        except (EOFError, KeyboardInterrupt):
            return
        if line in QUIT:
            return
        if line:
            yield line
