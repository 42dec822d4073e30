"""Where an engine that is shared keeps its word: three files in `HOME/run/engines/`.

`NAME.lock` is locked by the engine's process from its birth to its death; `NAME.json` tells its
address and key; `NAME.users` is locked by whoever needs it to stay. All locks go with the process
that holds them, however that ends. `sharing.py` is the side of those who ask, `lease.py` the
engine's own.
"""

import fcntl
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from llmasos.system import write_private

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Address:
    """A running engine: its address, the bearer token that it asks for, its process."""

    url: str
    key: str
    pid: int


@dataclass(frozen=True)
class Place:
    """The files of one shared engine."""

    folder: Path
    name: str

    @classmethod
    def of(cls, home: Path, model: str, digest: str) -> "Place":
        """The place of an engine in a home. digest: tells apart what differs in anything else."""
        return cls(home / "run" / "engines", f"{_NOT_PLAIN.sub('-', model)[:60]}-{digest[:8]}")

    @property
    def log(self) -> Path:
        """What the engine says."""
        return self._file("log")

    def find(self) -> Address | None:
        """The engine that says it is ready; None while there is none."""
        try:
            return Address(**json.loads(self._file("json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def publish(self, address: Address) -> None:
        """Tell where the engine is. Raises HomeNotWritable."""
        write_private(self._file("json"), asdict(address))

    def withdraw(self) -> None:
        """Tell that it is gone."""
        self._file("json").unlink(missing_ok=True)

    def own(self) -> int | None:
        """Become the one who starts it: a descriptor that holds the lock; the engine inherits it.

        None while an engine lives, or is being started.
        """
        descriptor = os.open(self._file("lock"), os.O_RDWR | os.O_CREAT, 0o600)
        return _locked(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def need(self) -> int:
        """Need the engine: a descriptor; while it is open the engine does not end by itself."""
        descriptor = os.open(self._file("users"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return descriptor

    def unneeded(self) -> bool:
        """Whether nobody needs the engine; if so nobody can, until this process has ended."""
        descriptor = os.open(self._file("users"), os.O_RDWR | os.O_CREAT, 0o600)
        return _locked(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB) is not None

    def _file(self, kind: str) -> Path:
        return self.folder / f"{self.name}.{kind}"


def _locked(descriptor: int, how: int) -> int | None:
    """The descriptor with its lock; None, and closed, when another process is in the way."""
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
