"""The model library: named, versioned, verified models in one folder.

A model lies in `FOLDER/NAME/REVISION/`; it is put there whole, by one rename, after every file's
sha256 was found right. `catalogue.py` says which there are, `sources.py` fetches. Start reading
at `ModelLibrary.pull`.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmasos.engine.catalogue import OWN_CATALOGUE, Entry, load
from llmasos.engine.sources import Progress, fetch
from llmasos.errors import HomeNotWritable, ModelMissing, UnknownModel, WrongHash

_PARTIAL = ".partial"
_LOCKS = ".locks"


def _silent(done: int, total: int) -> None:
    """Tell nobody."""


class ModelLibrary:
    """The models of a folder, which may be copied elsewhere as it is.

    folder: `Settings.models_dir`; a `models.toml` beside it adds to the catalogue.
    endpoint: another Hugging Face Hub than the public one.
    """

    def __init__(self, folder: Path, *, endpoint: str | None = None) -> None:
        self.folder = folder
        self._endpoint = endpoint
        self._entries = load(folder.parent / OWN_CATALOGUE)

    def list(self) -> list[Entry]:
        """Every model of the catalogue, by name."""
        return [self._entries[name] for name in sorted(self._entries)]

    def show(self, name: str) -> Entry:
        """The catalogue's entry. Raises UnknownModel with the nearest names."""
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownModel(name, tuple(self._entries)) from None

    def has(self, name: str) -> bool:
        """Whether the model lies here in the catalogue's revision. Raises UnknownModel."""
        return self._place(self.show(name)).is_dir()

    def path(self, name: str) -> Path:
        """The GGUF file, or the folder of the others. Raises UnknownModel or ModelMissing."""
        entry = self.show(name)
        path = self._place(entry) / entry.main_file
        if not path.exists():
            raise ModelMissing(name, str(self.folder))
        return path

    def pull(self, name: str, progress: Progress = _silent) -> Path:
        """Fetch a model unless it lies here whole, and say where: see `path`.

        progress: told bytes so far and in all, from another thread.
        Raises UnknownModel, DownloadFailed, WrongHash (nothing is kept), or HomeNotWritable.
        """
        entry = self.show(name)
        place = self._place(entry)
        if self._whole(entry, place):  # asked first: the folder may be read-only and still complete
            return self.path(name)
        try:
            with self._locked(entry):
                if not self._whole(entry, place):
                    self._fetch(entry, place, progress)
        except OSError as error:
            raise HomeNotWritable(str(self.folder), error.strerror or str(error)) from error
        return self.path(name)

    def remove(self, name: str) -> bool:
        """Remove a model's files; False when there were none.

        Raises UnknownModel or HomeNotWritable.
        """
        entry = self.show(name)
        folder = self.folder / entry.name
        if not folder.is_dir():
            return False
        try:
            with self._locked(entry):
                shutil.rmtree(folder)
        except OSError as error:
            raise HomeNotWritable(str(folder), error.strerror or str(error)) from error
        return True

    def _place(self, entry: Entry) -> Path:
        return self.folder / entry.name / entry.revision

    def _fetch(self, entry: Entry, place: Path, progress: Progress) -> None:
        """Fetch aside, verify, rename into place."""
        aside = self.folder / _PARTIAL / f"{entry.name}@{entry.revision}"
        aside.mkdir(parents=True, exist_ok=True)
        fetch(entry, aside, progress, self._endpoint)
        for file, expected in entry.files.items():
            found = sha256(aside / file)
            if found != expected:
                shutil.rmtree(aside)
                raise WrongHash(entry.name, file, expected, found)
        shutil.rmtree(aside / ".cache", ignore_errors=True)  # the Hub's notes on a download
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            shutil.rmtree(place)
        aside.rename(place)

    @staticmethod
    def _whole(entry: Entry, place: Path) -> bool:
        """Whether every file is there and is the right one."""
        return all(
            (place / file).is_file() and sha256(place / file) == expected
            for file, expected in entry.files.items()
        )

    @contextmanager
    def _locked(self, entry: Entry) -> Iterator[None]:
        """One process at a time fetches a model; the others wait and find it done."""
        locks = self.folder / _LOCKS
        locks.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(locks / entry.name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def sha256(path: Path) -> str:
    """A file's sha256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
