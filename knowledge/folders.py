"""The folder of a collection: made, removed, locked, and told from another of the same name.

Making and removing are renames: a collection is there whole or not at all. Knows nothing of what
is in a collection but its store's name.
"""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from knowledge.readers import EVERYONE
from knowledge.store import Store
from llmasos.errors import CollectionBusy, HomeNotWritable, StoreDamaged

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
"""What a collection, and so its folder, can be called."""
STORE = "store.db"
LOCK_SECONDS = 60.0


def collection_exists(folder: Path) -> bool:
    """Whether there is a collection."""
    return (folder / STORE).is_file()


def identity(folder: Path) -> tuple[int, int] | None:
    """What tells a collection from another that came under its name; None when there is none."""
    try:
        state = (folder / STORE).stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino


def create_collection(folder: Path, model: str, dimension: int) -> None:
    """Make an empty collection, aside and renamed. Hold `locked` around it.

    model, dimension: of the vectors that it will hold.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise StoreDamaged(str(folder), f"its {STORE} is missing")
    aside = folder.with_name(f".{folder.name}.new")
    with _writing(folder):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        Store.create(aside / STORE, model, dimension, (EVERYONE,))
        aside.rename(folder)


def delete_collection(folder: Path) -> None:
    """Remove a whole collection; at once for its readers. Hold `locked` around it."""
    aside = folder.with_name(f".{folder.name}.removed")
    with _writing(folder):
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        shutil.rmtree(aside)


@contextmanager
def locked(folder: Path, patience: float = LOCK_SECONDS) -> Iterator[None]:
    """Be the one writer of a collection; the lock goes with the process, however that ends.

    patience: seconds to wait for another writer. Raises CollectionBusy after them.
    """
    path = folder.with_name(f".{folder.name}.lock")
    with _writing(folder):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + patience
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise CollectionBusy(folder.name, patience)
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HomeNotWritable(str(folder), error.strerror or str(error)) from error
