"""`llmasos models promote | rollback | history`: what an alias of a model points at."""

import time
from dataclasses import asdict
from typing import Annotated

import typer

from integrations.cli.console import Json, note, print_json, print_table, settings
from llmasos import system
from llmasos.engine.catalogue import Entry
from llmasos.engine.library import ModelLibrary
from llmasos.errors import EngineUnavailable
from llmasos.settings import Settings

AliasArgument = Annotated[str, typer.Argument(help="The alias, such as `default`.")]
Wait = Annotated[
    float, typer.Option("--wait", min=0, help="Seconds to wait until the running system serves it.")
]
_LOOK = 0.2


def promote(
    context: typer.Context,
    alias: AliasArgument,
    name: Annotated[str, typer.Argument(help="NAME, or NAME@REVISION.")],
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    """Point an alias at a model. A running system changes over without a restart."""
    own = settings(context)
    library = ModelLibrary.of(own)
    entry = library.promote(alias, name, needed_here=own.llm.embedded)
    _tell(own, library, alias, entry, wait=wait, as_json=as_json)


def rollback(
    context: typer.Context, alias: AliasArgument, wait: Wait = 0, as_json: Json = False
) -> None:
    """Point an alias at what it pointed at before."""
    own = settings(context)
    library = ModelLibrary.of(own)
    entry = library.rollback(alias, needed_here=own.llm.embedded)
    _tell(own, library, alias, entry, wait=wait, as_json=as_json)


def history(context: typer.Context, alias: AliasArgument, as_json: Json = False) -> None:
    """Who pointed an alias at what, and when; also what did not start."""
    library = ModelLibrary.of(settings(context))
    moves = library.aliases.history(alias)
    if as_json:
        print_json([asdict(move) for move in moves])
        return
    rows = [(move.at, move.by, move.action, move.model, move.reason) for move in moves]
    print_table(("AT", "BY", "ACTION", "MODEL", "REASON"), rows)
    note(f"{alias} points at {library.aliases.target(alias)}")


def _tell(
    own: Settings, library: ModelLibrary, alias: str, entry: Entry, *, wait: float, as_json: bool
) -> None:
    """Say what the move changes, and wait for it if asked to."""
    running = system.find(own.home)
    if not own.llm.embedded:
        note(
            f"{alias} → {entry.address}. Text comes from servers of your own, which go on serving "
            f"what they were started with. Those whose `model` is '{alias}' are asked for "
            f"'{entry.served_as}' from now on; nothing else changes."
        )
    elif alias != own.llm.model:
        note(
            f"{alias} → {entry.address}. The embedded engine serves llm.model, which is "
            f"'{own.llm.model}': set it to '{alias}' to have this one served."
        )
    elif running is None:
        note(f"{alias} → {entry.address}. No system runs here; the next one serves it.")
    else:
        note(f"{alias} → {entry.address}. The running system starts it beside the old one.")
        if wait:
            _wait(own, library, alias, entry, wait)
            note(f"{entry.address} is served now.")
    if as_json:
        print_json({"alias": alias, "model": entry.address, "served_as": entry.served_as})


def _wait(own: Settings, library: ModelLibrary, alias: str, entry: Entry, seconds: float) -> None:
    """Wait until the running system serves a model. Raises EngineUnavailable when it does not."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        running = system.find(own.home)
        if running is not None and running.engine_model == entry.address:
            return
        if library.aliases.target(alias) != entry.address:
            raise EngineUnavailable(entry.address, library.aliases.history(alias)[-1].reason)
        time.sleep(_LOOK)
    reason = f"not served after {seconds:g} s; `llmasos models history {alias}` tells how it went"
    raise EngineUnavailable(entry.address, reason)
