"""The run file: where a running system's parts are, for everything else in the same home.

`llmasos up` writes `run/system.json` (mode 0600) and holds a lock on `run/lock`; every other
process finds addresses and keys here unless its settings name them. Start reading at `addresses`.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from llmasos.errors import HomeNotWritable, SystemAlreadyRunning
from llmasos.settings import DEFAULT_MODEL, EMBEDDED, Settings


@dataclass(frozen=True)
class System:
    """A running system: addresses, keys and process ids."""

    pid: int
    engine_url: str | None = None
    engine_key: str | None = None
    engine_model: str | None = None
    """NAME@REVISION, or the file, of the text model that it serves."""
    broker_url: str | None = None
    bus_url: str | None = None
    web_url: str | None = None
    pids: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Addresses:
    """Where the parts are for this process. None: there is none yet."""

    llm_urls: tuple[str, ...]
    """The servers of the model `default`; how to speak with them is the pool's to know."""
    embedding_url: str | None
    embedding_key: str | None
    broker_url: str | None
    bus_url: str | None
    web_url: str | None


def run_file(home: Path) -> Path:
    """The run file's place."""
    return home / "run" / "system.json"


def write(home: Path, system: System) -> None:
    """Write the run file. Raises HomeNotWritable."""
    write_private(run_file(home), asdict(system))


def write_private(path: Path, plain: dict[str, Any]) -> None:
    """Write a JSON file that only its owner can read, never half. Raises HomeNotWritable."""
    aside = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(plain, file, indent=2)
        aside.replace(path)
    except OSError as error:
        raise HomeNotWritable(str(path.parent), error.strerror or str(error)) from error


def find(home: Path) -> System | None:
    """The system that runs in this home; None when none does, whatever an old file says."""
    try:
        plain = json.loads(run_file(home).read_text())
    except (OSError, ValueError):
        return None
    return System(**plain) if _locked(home) else None


def addresses(settings: Settings) -> Addresses:
    """Where the parts are: as the settings name them, else as the running system does."""
    running = find(settings.home) or System(pid=0)
    embedding_key = settings.embedding.api_key
    embedding_url = settings.embedding.url
    broker = settings.broker_url or running.broker_url
    redis = broker if broker and broker.startswith(("redis://", "rediss://")) else None
    return Addresses(
        llm_urls=tuple(_text_servers(settings, running)),
        embedding_url=embedding_url or running.engine_url,
        embedding_key=(embedding_key.get_secret_value() if embedding_key else None)
        if embedding_url
        else running.engine_key,
        broker_url=broker,
        bus_url=settings.bus_url or running.bus_url or redis,
        web_url=running.web_url,
    )


def _text_servers(settings: Settings, running: System) -> Iterator[str]:
    for backend in settings.llm.aliases[DEFAULT_MODEL].backends:
        url = running.engine_url if backend.url == EMBEDDED else backend.url
        if url:
            yield url


@contextmanager
def hold(home: Path) -> Iterator[None]:
    """Hold the home's lock: one system a home. It goes with the process, however that ends.

    Raises SystemAlreadyRunning, or HomeNotWritable.
    """
    lock = home / "run" / "lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise HomeNotWritable(str(home), error.strerror or str(error)) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        running = os.pread(descriptor, 32, 0).decode() or "0"
        os.close(descriptor)
        raise SystemAlreadyRunning(str(home), int(running)) from None
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        run_file(home).unlink(missing_ok=True)
        os.close(descriptor)


def _locked(home: Path) -> bool:
    """Whether somebody holds the lock."""
    try:
        descriptor = os.open(home / "run" / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
