"""An engine as another process's child: `launch.py` runs `python -m llmasos.engine`.

The first line on standard input says what to serve, in JSON, secrets included; the address goes
to standard output. When standard input ends, so does the engine.
"""

import json
import os
import sys

from llmasos import logs
from llmasos.engine.process import serve
from llmasos.engine.serving import Served
from llmasos.errors import LLMasOSError
from llmasos.settings import EngineSettings


def main() -> None:
    """Serve what standard input says."""
    plan = json.loads(_first_line())
    logs.configure("engine", plan["log_level"], "text")
    own = EngineSettings.model_validate(plan["engine"])
    try:
        serve(own, Served(**plan["served"]), tell=lambda url: print(url, flush=True))
    except LLMasOSError as error:
        print(f"llmasos: {error}", file=sys.stderr)
        sys.exit(1)


def _first_line() -> bytes:
    """Read a line byte by byte, so that nothing behind it is swallowed by a buffer."""
    line = b""
    while (byte := os.read(0, 1)) not in (b"\n", b""):
        line += byte
    return line


if __name__ == "__main__":
    main()
