"""Backups of an installation: everything that it keeps, in one tar file with a list of digests.

In it are the state as a dump (`llmasos.dump`), each collection as its own one-file backup, and the
models' aliases, records and additions to the catalogue. Not in it: the models themselves, which are
pulled again; `llmasos.toml`, which is the installer's and may hold secrets; and what only lives
while the system runs. The digests find damage, not forgery: who can write the file can write them.
Start reading at `back_up` and `restore`.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import func, select

from knowledge import KnowledgeBase
from knowledge.folders import NAME
from llmasos import system
from llmasos.database import SCHEMA, Database, migrate
from llmasos.dump import dump, is_empty, load
from llmasos.errors import BackupUnfit, HomeNotWritable, InvalidRequest
from llmasos.settings import Settings
from llmasos.tables import leases

FORMAT = 1
MANIFEST = "manifest.json"
LONGEST_MANIFEST = 50_000_000
"""Bytes of a manifest that are read at most."""
PIECE = 1 << 20
INSIDE = re.compile(
    r"state/[a-z_]+\.jsonl"
    rf"|knowledge/(?:{NAME.pattern})\.db"
    r"|models/(?:aliases\.json|models\.toml|records/[A-Za-z0-9][A-Za-z0-9._@-]*\.json)"
)
"""The files that may be in a backup: nothing else is taken out of one."""


@dataclass(frozen=True)
class Contents:
    """What a backup holds."""

    made_at: str
    jobs: int
    collections: tuple[str, ...]
    size: int
    """Bytes of the file."""


def back_up(settings: Settings, path: Path) -> Contents:
    """Copy all that an installation keeps into one file, while it works.

    What was at the path is replaced once the new file is whole.
    Raises InvalidRequest for a folder, SchemaMismatch, StoreDamaged, HomeNotWritable or
    DatabaseUnavailable.
    """
    if path.is_dir():
        raise InvalidRequest(f"{path} is a folder. Name the file that the backup should be.")
    with _scratch(path.absolute().parent) as scratch:
        rows = _collect(settings, scratch)
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        whole = scratch / "backup.tar"
        _pack(scratch, whole, {"format": FORMAT, "schema": SCHEMA, "made_at": made_at, **rows})
        size = whole.stat().st_size
        os.replace(whole, path)
    return Contents(made_at, int(rows["jobs"]), tuple(rows["collections"]), size)


def restore(settings: Settings, path: Path, *, force: bool = False) -> Contents:
    """Let an installation be as it was when a backup was made.

    force: also in the place of what it holds now, which is gone then.
    Raises SystemAlreadyRunning; InvalidRequest when there is no such file, a worker is at work, or
    something would be lost; BackupUnfit for a file that is damaged or of another version; then
    nothing was changed. Raises StateError or KnowledgeError if it fails later: restore again.
    """
    if not path.is_file():
        raise InvalidRequest(f"There is no file {path}.")
    with (
        system.hold(settings.home),
        _scratch(settings.home) as scratch,
        Database(settings.state_url) as database,
    ):
        manifest = _unpack(path, scratch)
        knowledge = KnowledgeBase.open(settings)
        try:
            _check_idle(database)
            if not force:
                _check_empty(database, knowledge)
            _put_collections(scratch / "knowledge", knowledge)
        finally:
            knowledge.close()
        load(database, scratch / "state")
        _put_models(settings, scratch / "models")
    names = tuple(manifest["collections"])
    return Contents(str(manifest["made_at"]), int(manifest["jobs"]), names, path.stat().st_size)


@contextmanager
def _scratch(beside: Path) -> Iterator[Path]:
    """A folder that only its owner can read, on the same disk, gone afterwards."""
    try:
        beside.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".llmasos-", dir=beside))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise HomeNotWritable(str(beside), error.strerror or str(error)) from error


def _collect(settings: Settings, folder: Path) -> dict[str, Any]:
    """Copy everything into a folder, laid out as in the archive."""
    for name in ("state", "knowledge", "models/records"):
        (folder / name).mkdir(parents=True)
    with Database(settings.state_url) as database:
        rows = dump(database, folder / "state")
    knowledge = KnowledgeBase.open(settings)
    try:
        names = knowledge.collections()
        for name in names:
            knowledge.backup(name, folder / "knowledge" / f"{name}.db")
    finally:
        knowledge.close()
    for source, inside in _model_files(settings):
        shutil.copyfile(source, folder / "models" / inside)
    return {"jobs": rows["jobs"], "collections": names}


def _model_files(settings: Settings) -> Iterator[tuple[Path, str]]:
    """What the installation itself wrote of its models, and the names in the archive."""
    kept = [(settings.models_dir / "aliases.json", "aliases.json")]
    kept += [(settings.home / "models.toml", "models.toml")]
    records = sorted((settings.models_dir / ".records").glob("*.json"))
    kept += [(each, f"records/{each.name}") for each in records]
    yield from (each for each in kept if each[0].is_file())


def _pack(folder: Path, whole: Path, manifest: Mapping[str, Any]) -> None:
    """Make one file of all in a folder, the manifest first."""
    inside = sorted(p for p in folder.rglob("*") if p.is_file())
    files = {
        path.relative_to(folder).as_posix(): {"sha256": _digest(path), "size": path.stat().st_size}
        for path in inside
    }
    (folder / MANIFEST).write_text(json.dumps({**manifest, "files": files}, indent=2))
    descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name in (MANIFEST, *files):
                archive.add(folder / name, name, recursive=False)
        file.flush()
        os.fsync(file.fileno())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(path: Path, folder: Path) -> dict[str, Any]:
    """Take all files out, each checked; gives the manifest. Raises BackupUnfit."""
    try:
        with tarfile.open(path, "r:") as archive:
            return _take_out(archive, path, folder)
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
        raise BackupUnfit(str(path), f"it is damaged, or no backup ({error})") from error


def _take_out(archive: tarfile.TarFile, path: Path, folder: Path) -> dict[str, Any]:
    first = archive.next()
    if first is None or first.name != MANIFEST or first.size > LONGEST_MANIFEST:
        raise BackupUnfit(str(path), "it does not begin with a manifest")
    manifest: dict[str, Any] = json.loads(_content(archive, first).read())
    if manifest["format"] != FORMAT or manifest["schema"] != SCHEMA:
        raise BackupUnfit(
            str(path),
            f"it was made with schema '{manifest['schema']}', this version has '{SCHEMA}'. "
            "Restore it with the version that made it, then upgrade",
        )
    missing = dict(manifest["files"])
    while (member := archive.next()) is not None:
        said = missing.pop(member.name, None)
        plain = member.isreg() and not member.issparse()
        if said is None or not plain or not INSIDE.fullmatch(member.name):
            raise BackupUnfit(str(path), f"'{member.name[:100]}' does not belong into a backup")
        digest = _copy(_content(archive, member), folder / member.name)
        if digest != said["sha256"]:
            raise BackupUnfit(str(path), f"'{member.name}' is damaged")
    if missing:
        raise BackupUnfit(str(path), f"'{min(missing)}' is missing from it")
    return manifest


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member) if member.isreg() else None
    if content is None:
        raise ValueError(f"{member.name} is no file")
    return content


def _copy(content: IO[bytes], place: Path) -> str:
    """Copy a file; gives its sha256."""
    place.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with place.open("xb") as file:
        while piece := content.read(PIECE):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _check_idle(database: Database) -> None:
    """Refuse while a worker is at work somewhere, perhaps on another machine."""
    migrate(database)
    alive = select(func.count()).where(
        leases.c.name.startswith("worker:"), leases.c.until > database.now()
    )
    with database.reading() as connection:
        if connection.execute(alive).scalar_one():
            raise InvalidRequest(
                f"A worker is at work on {database.name}, or was killed a moment ago. Stop every "
                "worker, web and slack process, wait half a minute, and restore again."
            )


def _check_empty(database: Database, knowledge: KnowledgeBase) -> None:
    names = knowledge.collections()
    if not names and is_empty(database):
        return
    held = f"the collections {', '.join(names)}" if names else "jobs"
    raise InvalidRequest(
        f"There is something here already: {held}. Restore into an empty home and database, or "
        "say --force to lose what is here."
    )


def _put_collections(folder: Path, knowledge: KnowledgeBase) -> None:
    files = {path.stem: path for path in sorted(folder.glob("*.db"))}
    for name, path in files.items():
        knowledge.restore(name, path, replace=True)
    for name in set(knowledge.collections()) - set(files):
        knowledge.remove(name)


def _put_models(settings: Settings, folder: Path) -> None:
    """Put back what was known of the models; each file replaces the one that is there."""
    places = {"aliases.json": settings.models_dir, "models.toml": settings.home}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        place = places.get(path.relative_to(folder).as_posix(), settings.models_dir / ".records")
        place.mkdir(parents=True, exist_ok=True)
        aside = place / f".{path.name}.{secrets.token_hex(4)}"
        shutil.copyfile(path, aside)
        aside.replace(place / path.name)
