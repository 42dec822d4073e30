"""`llmasos web`: the HTTP API, the webhooks and Slack's HTTP events, in one process."""

from pathlib import Path
from typing import Annotated

import typer

from integrations.cli.console import settings


def command(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on [default: web.host].")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port; 0 takes a free one [default: web.port]."),
    ] = None,
    address_file: Annotated[
        Path | None, typer.Option(hidden=True, help="Write the address here once it answers.")
    ] = None,
) -> None:
    """Run the HTTP API and the webhooks."""
    import structlog  # late, as all below: `--help` must not wait for it

    from integrations.app import compose
    from integrations.http_api.app import create_app
    from integrations.http_api.exposure import check_host
    from integrations.http_api.server import bind, serve
    from llmasos import logs
    from llmasos.database import Database

    here = settings(context)
    logs.configure("web", here.log_level, here.log_format)
    listens_on = here.web.host if host is None else host
    # First of all: a port that cannot be had should not wait for anything else to be found wrong.
    door = bind(listens_on, here.web.port if port is None else port)
    with Database(here.state_url) as database:
        check_host(listens_on, database)
    doors = compose(here)

    def listening(address: str) -> None:
        structlog.get_logger().info("web.ready", address=address)
        if address_file is not None:
            aside = address_file.with_name(f"{address_file.name}.new")
            aside.write_text(address, encoding="utf-8")
            aside.replace(address_file)

    try:
        serve(create_app(doors), door, listening)
    finally:
        doors.close()
