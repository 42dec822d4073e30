"""What was pulled: for each revision the commit and the sha256 of every file, kept for good.

Where the catalogue does not know a hash, the first pull's is written down here, and held against
every later one, also after the files have been removed. `library.py` reads and writes it.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llmasos.errors import NotAModel

_FOLDER = ".records"


@dataclass(frozen=True)
class Record:
    """One revision as it was pulled.

    commit: of the Hub's repository, so that a branch that moves on is fetched as it was.
    files: each with its sha256. size: bytes of all files.
    """

    source: str
    files: dict[str, str]
    size: int
    commit: str | None = None
    pulled_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def recorded(models: Path, address: str) -> Record | None:
    """The record of `NAME@REVISION`; None when it was never pulled into this folder.

    Raises NotAModel when it cannot be read, since nothing may then be trusted anew.
    """
    path = _place(models, address)
    try:
        plain: Any = json.loads(path.read_text(encoding="utf-8"))
        return Record(**plain)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        reason = f"the record of what was pulled is damaged ({error}); remove that file to trust "
        raise NotAModel(str(path), reason + "what is pulled next") from error


def record(models: Path, address: str, entry: Record) -> None:
    """Write a record, never half."""
    write_whole(_place(models, address), asdict(entry))


def forget(models: Path, address: str) -> None:
    """Remove a record: whatever is pulled next is trusted anew."""
    _place(models, address).unlink(missing_ok=True)


def write_whole(path: Path, plain: Any) -> None:
    """Write a JSON file so that a reader finds the old one or the new one, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    with aside.open("w", encoding="utf-8") as file:
        json.dump(plain, file, indent=2, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def _place(models: Path, address: str) -> Path:
    return models / _FOLDER / f"{address}.json"
