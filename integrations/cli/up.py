"""`llmasos up`: the whole system on this machine, from one command."""

import typer

from integrations.cli.console import settings


def command(context: typer.Context) -> None:
    """Start the whole system here and watch over it."""
    from integrations.up import run  # late: `--help` must not wait for it

    run(settings(context), config=context.find_root().params.get("config"))
