"""`llmasos worker`: run one worker in this process."""

import typer

from integrations.cli import console
from llmasos import logs


def command(context: typer.Context) -> None:
    """Run one worker: take jobs, run their agents, bring the answers. Stops on SIGTERM."""
    from workers.app import run_worker  # late: `--help` must not wait for Celery

    settings = console.settings(context)
    logs.configure("worker", settings.log_level, settings.log_format)
    run_worker(settings)
