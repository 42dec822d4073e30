"""An engine as another process's child: `launch.py` runs `python -m llmasos.engine`.

The first line on standard input says what to serve, in JSON, secrets included. One line of JSON on
standard output answers: the address, or the error for which there is none. When standard input
ends, so does the engine, but for one that is shared, which outlives who started it.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from llmasos import logs
from llmasos.engine.lease import Lease
from llmasos.engine.place import Place
from llmasos.engine.process import serve
from llmasos.engine.serving import Served
from llmasos.errors import LLMasOSError
from llmasos.settings import EngineSettings


def main() -> None:
    """Serve what standard input says."""
    plan = json.loads(_first_line())
    lease = _detached(plan) if plan["shared"] else None
    logs.configure("engine", plan["log_level"], "text")
    own = EngineSettings.model_validate(plan["engine"])
    try:
        serve(own, Served(**plan["served"]), tell=lambda url: _say({"url": url}), lease=lease)
    except LLMasOSError as error:
        _say({"error": type(error).__name__, "args": error.args})
        print(f"llmasos: {error}", file=sys.stderr)
        sys.exit(1)


def _detached(plan: dict[str, Any]) -> Lease:
    """Leave the process that started this one; what it gave stays: the lock and the streams."""
    if os.fork():
        os._exit(0)
    shared = plan["shared"]
    place = Place(Path(shared["folder"]), shared["name"])
    os.chdir(place.folder)
    return Lease(place, plan["engine"]["api_key"], plan["engine"]["idle_seconds"])


def _say(plain: dict[str, Any]) -> None:
    """Tell who started this, if that process is still there."""
    with suppress(BrokenPipeError):
        print(json.dumps(plain), flush=True)


def _first_line() -> bytes:
    """Read a line byte by byte, so that nothing behind it is swallowed by a buffer."""
    line = b""
    while (byte := os.read(0, 1)) not in (b"\n", b""):
        line += byte
    return line


if __name__ == "__main__":
    main()
