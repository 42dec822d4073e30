"""`llmasos models status`: how every server of every model stands."""

import json
import sys
import time
from typing import Annotated, Any

import typer

from integrations.cli.console import Json, note, print_json, print_table, printable, settings
from llmasos.bus import open_bus
from llmasos.pool import Fleet
from llmasos.pool.reports import told
from llmasos.pool.survey import Standing, survey
from llmasos.system import addresses

WATCH_SECONDS = 2.0
CLEAR = "\x1b[H\x1b[2J\x1b[3J"
COLUMNS = (
    "MODEL", "SERVER", "KIND", "SERVES", "HEALTH", "RUNNING", "QUEUE", "FIRST TOKEN", "TOKENS/S",
    "CACHE", "BREAKER",
)  # fmt: skip


def status(
    context: typer.Context,
    as_json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Ask again every two seconds, until Ctrl-C.")
    ] = False,
) -> None:
    """How the servers stand that generate text: health, queue, speed, cache, breaker."""
    own = settings(context)
    fleet = Fleet(own)
    bus = open_bus(addresses(own).bus_url)
    try:
        while True:
            standings = survey(fleet, told(bus))
            _show(standings, as_json=as_json, watch=watch)
            if not watch:
                return
            time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return
    finally:
        fleet.close()


def _show(standings: list[Standing], *, as_json: bool, watch: bool) -> None:
    if as_json:
        plain = [each.model_dump(mode="json") for each in standings]
        if watch:  # a line each time, for who reads along
            typer.echo(json.dumps(plain, ensure_ascii=False))
        else:
            print_json(plain)
        return
    if watch and sys.stdout.isatty():
        typer.echo(CLEAR, nl=False)
    if standings:
        print_table(COLUMNS, [_row(each) for each in standings])
    else:
        note("No server: no system runs here, and llm.urls and llm.models name none.")


def _row(each: Standing) -> tuple[Any, ...]:
    return (
        ", ".join(each.models),
        each.url,
        each.kind,
        printable(each.served or ""),
        "well" if each.healthy else printable(each.problem or ""),
        each.running,
        each.queue,
        _number(each.first_token_ms, " ms"),
        _number(each.tokens_per_second),
        _number(None if each.cache_hits is None else each.cache_hits * 100, " %"),
        each.breaker,
    )


def _number(value: float | None, unit: str = "") -> str | None:
    return None if value is None else f"{value:.0f}{unit}"
