"""`llmasos`: the command line's root. Each command is a module here, imported when it is called.

A module offers `command`, a function, or `app`, a `typer.Typer` with commands of its own.
Start reading at `COMMANDS`.
"""

import sys
from importlib import import_module
from typing import Annotated

import typer

from llmasos.errors import LLMasOSError, UsageError
from llmasos.packages import check_packages

COMMANDS = {
    "init": "Write a commented llmasos.toml, a sample agent and a secret.",
    "up": "Start the whole system here and watch over it.",
    "ask": "Ask an agent one thing; the answer is all that is printed.",
    "chat": "Talk with an agent.",
    "agents": "The agents there are.",
    "knowledge": "Collections of documents: add, search, list, roll back, back up.",
    "jobs": "Jobs: list, show, cancel, retry.",
    "models": "The model library and who serves it: list, pull, add, promote, status.",
    "engine": "Run the engine alone.",
    "worker": "Run one worker.",
    "web": "Run the HTTP API and the webhooks.",
    "webhooks": "Webhooks: list, test, what came in, answers that did not get through.",
    "keys": "API keys: add, list, revoke.",
    "slack": "The Slack bot: run it, print its manifest.",
    "migrate": "Bring the database's schema up to date.",
    "backup": "Copy everything that is kept into one file.",
    "restore": "Have everything as it was when a backup was made.",
    "doctor": "Check every part and say how to mend what is broken.",
    "settings": "Print the settings in force, secrets hidden.",
}


def _tell_version(wanted: bool) -> None:  # typer calls it so
    """Print the version and end."""
    if wanted:
        from importlib.metadata import version  # late: other calls need not wait for it

        typer.echo(f"llmasos {version('llmasos')}")
        raise typer.Exit


def _root(
    config: Annotated[
        str | None, typer.Option(help="The configuration file [default: ./llmasos.toml].")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    """LLMasOS: agents in your team's chat, on your own models and documents."""


def _unloaded() -> None:
    """Stand in a list for a command that this call does not use."""


def build(wanted: str | None) -> typer.Typer:
    """The command line with the one command that is wanted; the others are only listed."""
    root = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help: rich would cost a tenth of a second
    )
    root.callback()(_root)
    for name, line in COMMANDS.items():
        if name != wanted:
            root.command(name, help=line)(_unloaded)
            continue
        module = import_module(f"integrations.cli.{name}")
        if hasattr(module, "app"):
            root.add_typer(module.app, name=name, help=line, no_args_is_help=True)
        else:
            root.command(name)(module.command)
    return root


def wanted_command(words: list[str]) -> str | None:
    """The command that a command line names: its first word that is not an option's."""
    rest = iter(words)
    for word in rest:
        if word == "--config":
            next(rest, None)
        elif not word.startswith("-"):
            return word
    return None


def main() -> None:
    """Run the command line; an error of ours is one line and an exit code."""
    try:
        check_packages()
        build(wanted_command(sys.argv[1:]))()
    except LLMasOSError as error:
        typer.echo(f"llmasos: {error}", err=True)
        sys.exit(2 if isinstance(error, UsageError) else 1)


if __name__ == "__main__":
    main()
