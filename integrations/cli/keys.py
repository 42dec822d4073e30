"""`llmasos keys`: who may call the HTTP API."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from integrations.cli.console import Json, note, print_json, print_table, settings
from llmasos.database import Database, require_schema
from llmasos.errors import InvalidRequest
from llmasos.keys import Key, Keys, Scope

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
LONGEST = 100 * 365 * 86400

Id = Annotated[str, typer.Argument(metavar="KEY", help="A key's id.")]


@app.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose it is. Keys of one name are one caller.")],
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it is for; may stand several times.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="After how long it works no more: 12h, 30d, 8w.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a key. It is printed this once and kept nowhere."""
    until = None if expires is None else time.time() + _seconds(expires)
    with _keys(context) as keys:
        others = [each.id for each in keys.list() if each.name == name and each.state == "active"]
        key, text = keys.add(name, scope or [Scope.RUN], until)
    if as_json:
        print_json({**_shown(key), "key": text})
    else:
        typer.echo(text)
    note(f"Key {key.id} of '{name}' may {', '.join(key.scopes)}. It is not shown again.")
    if others:
        note(
            f"'{name}' has another key ({', '.join(others)}), and both are the same caller. Revoke "
            f"the old one when it is used no more: llmasos keys revoke {others[0]}"
        )


@app.command("list")
def list_keys(context: typer.Context, as_json: Json = False) -> None:
    """All keys, without their secrets."""
    with _keys(context) as keys:
        found = [_shown(key) for key in keys.list()]
    if as_json:
        print_json(found)
        return
    rows = [
        (
            *(each[word] for word in ("id", "name", "state")),
            " ".join(each["scopes"]),
            *(each[word] and each[word][:16] for word in ("created_at", "expires_at")),
            each["last_used_at"] and each["last_used_at"][:16],
        )
        for each in found
    ]
    print_table(("ID", "NAME", "STATE", "SCOPES", "CREATED", "EXPIRES", "LAST USED"), rows)


@app.command()
def revoke(
    context: typer.Context,
    key_id: Id,
    forget: Annotated[
        bool,
        typer.Option(
            "--forget",
            help="Take it out of the list, too. Without any key, this machine needs none again.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a key useless, at once and everywhere."""
    with _keys(context) as keys:
        key = keys.revoke(key_id)
        if forget:
            keys.forget(key_id)
        needed = keys.any()
    if as_json:
        print_json(_shown(key))
    note(f"Key {key.id} of '{key.name}' works no more.")
    if not needed:
        note("There are no keys now: callers on this machine need none.")


@contextmanager
def _keys(context: typer.Context) -> Iterator[Keys]:
    with Database(settings(context).state_url) as database:
        require_schema(database)
        yield Keys(database)


def _seconds(text: str) -> float:
    """How long a duration is. Raises InvalidRequest."""
    form = re.fullmatch(r"([0-9]{1,9})([mhdw])", text)
    seconds = int(form[1]) * UNITS[form[2]] if form else 0
    if not 0 < seconds <= LONGEST:
        raise InvalidRequest(
            f"--expires takes a number and m, h, d or w, as in 12h or 30d, not '{text[:40]}'."
        )
    return seconds


def _shown(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "state": key.state,
        "scopes": list(key.scopes),
        "created_at": _iso(key.created_at),
        "expires_at": _iso(key.expires_at),
        "last_used_at": _iso(key.last_used_at),
        "revoked_at": _iso(key.revoked_at),
    }


def _iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
