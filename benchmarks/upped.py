"""`llmasos up` for a benchmark: in a folder with a configuration, the models those of this project.

Start reading at `running`.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from llmasos import system
from llmasos.processes import TETHER

COMMAND = (sys.executable, "-m", "integrations.cli.main", "up")
PATIENCE = 300.0
"""Seconds until it must be ready, on a machine that is busy with other things."""


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """The system that `llmasos.toml` in the folder describes, from when all of it answers."""
    home = folder / ".llmasos"
    home.mkdir()
    models = Path(os.environ.get("LLMASOS_HOME", ".llmasos")).resolve() / "models"
    (home / "models").symlink_to(models)
    plain = {name: text for name, text in os.environ.items() if not name.startswith("LLMASOS_")}
    with (folder / "up.log").open("w") as log:
        process = subprocess.Popen(
            COMMAND, cwd=folder, env=plain, stdout=log, stderr=log, preexec_fn=TETHER
        )
    try:
        _wait_until_ready(home, process)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        if process.wait(timeout=60) != 0:
            sys.stderr.write((folder / "up.log").read_text()[-4000:])


def found(home: Path) -> system.System:
    """Where its parts are."""
    there = system.find(home)
    if there is None:
        raise RuntimeError("`llmasos up` has ended")
    return there


def _wait_until_ready(home: Path, process: "subprocess.Popen[bytes]") -> None:
    give_up = time.monotonic() + PATIENCE
    while not _is_ready(home):
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError("the system did not start")
        time.sleep(0.1)


def _is_ready(home: Path) -> bool:
    there = system.find(home)
    try:
        return bool(there and httpx.get(f"{there.web_url}/readyz").is_success)
    except httpx.TransportError:
        return False
