"""One-file backups of a collection: made while it is used, and restored whole.

A backup is a copy of the store, so it can be opened with any SQLite. The versions are not in it:
a restore makes one, aside, before anything of what was there is replaced.
"""

import os
import secrets
import shutil
from pathlib import Path

from knowledge.folders import STORE
from knowledge.publishing import publish
from knowledge.store import Store
from knowledge.versions import discard_other_versions, version_folder
from llmasos.errors import (
    HomeNotWritable,
    InvalidRequest,
    KnowledgeError,
    StoreDamaged,
    UnknownCollection,
)


def back_up(store: Store, path: Path) -> int:
    """Copy a store as it is now into one file; returns its bytes. Writers may go on.

    What was at the path is replaced once the copy is whole. Raises HomeNotWritable, StoreDamaged.
    """
    if path.is_dir():
        raise InvalidRequest(f"{path} is a folder. Name the file that the backup should be.")
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        store.copy(aside)
        aside.replace(path)
        return path.stat().st_size
    except OSError as error:
        raise HomeNotWritable(str(path.parent), error.strerror or str(error)) from error
    finally:
        aside.unlink(missing_ok=True)


def restore(folder: Path, path: Path, keep: int) -> None:
    """Make a collection of a backup, or put it in the place of the one that is there.

    Hold `locked` around it. Raises KnowledgeError when the file is no sound backup; then nothing
    was changed. Raises HomeNotWritable.
    """
    aside = folder.with_name(f".{folder.name}.restored")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        store = Store(aside / STORE)
        _take(path, store)
        publish(aside, store, keep)
        revision = _revision(folder)
        if revision is not None:
            _replace(folder, store, revision)
        else:  # nothing there that could be read
            shutil.rmtree(folder, ignore_errors=True)
            aside.rename(folder)
    except OSError as error:
        raise HomeNotWritable(str(folder), error.strerror or str(error)) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _take(path: Path, store: Store) -> None:
    """Copy a backup to where the store will be, and check it."""
    if not path.is_file():
        raise InvalidRequest(f"There is no file {path}.")
    backup = Store(path)
    try:
        backup.copy(store.path)
        with store.write() as draft:
            draft.check()
            draft.forget([each.name for each in draft.versions()])
    except (StoreDamaged, UnknownCollection) as error:
        reason = error.reason if isinstance(error, StoreDamaged) else "it cannot be read"
        raise KnowledgeError(f"{path} is no sound backup of a collection: {reason}.") from error
    finally:
        backup.close()


def _revision(folder: Path) -> int | None:
    """That of the collection that is there; None when there is none, or a damaged one."""
    store = Store(folder / STORE)
    try:
        with store.read() as snapshot:
            return snapshot.facts().revision
    except (StoreDamaged, UnknownCollection):
        return None
    finally:
        store.close()


def _replace(folder: Path, store: Store, revision: int) -> None:
    """Put a store and its version in the place of those in a folder, for every reader at once."""
    with store.write() as draft:
        draft.count_revision_from(revision)
        name = draft.facts().version
    if name:
        place = version_folder(folder, name)
        place.parent.mkdir(exist_ok=True)
        os.rename(version_folder(store.path.parent, name), place)
    store.copy(folder / STORE)
    discard_other_versions(folder, {name})
