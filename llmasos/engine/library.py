"""The model library: named, versioned, verified models in one folder.

A model lies in `FOLDER/NAME/REVISION/`; it is put there whole, by one rename, after every file's
hash was found right. `catalogue.py` says which there are, `sources.py` fetches, `records.py` holds
what came, `aliases.py` says what a name like `default` means today. Start at `ModelLibrary.pull`.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from llmasos.engine import records
from llmasos.engine.aliases import Aliases
from llmasos.engine.catalogue import FIRST_PULL, OWN_CATALOGUE, Entry, load
from llmasos.engine.hub import Hub, sha256
from llmasos.engine.records import Record
from llmasos.engine.sources import Fetched, Progress, fetch, tidy, watched
from llmasos.errors import (
    AliasRefused,
    HomeNotWritable,
    ModelInUse,
    ModelMissing,
    SettingsError,
    UnknownModel,
    WrongHash,
)
from llmasos.settings import Settings

_PARTIAL = ".partial"
_LOCKS = ".locks"


def _silent(done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file. found: its sha256, None when it is missing."""

    file: str
    expected: str
    found: str | None


class ModelLibrary:
    """The models of a folder, which may be copied elsewhere as it is.

    A model is named by `NAME` (its last revision in the catalogue), `NAME@REVISION`, or an alias.
    folder: `Settings.models_dir`; a `models.toml` beside it adds to the catalogue.
    hub: where `hf:` sources are.
    """

    def __init__(self, folder: Path, hub: Hub | None = None) -> None:
        self.folder = folder
        self.hub = hub or Hub()
        self.catalogue = load(folder.parent / OWN_CATALOGUE)
        self.aliases = Aliases(folder, self._built_in_aliases())

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The library that the settings name."""
        token = settings.hub.token
        hub = Hub(settings.hub.url, token.get_secret_value() if token else None)
        return cls(settings.models_dir, hub)

    def list(self) -> "list[Entry]":
        """Every revision of every model of the catalogue, by name."""
        return [*self.catalogue]

    def show(self, name: str) -> Entry:
        """What a name or alias means. Raises UnknownModel with the nearest names."""
        target = self.aliases.target(name)
        try:
            return self.catalogue.find(target or name)
        except UnknownModel as error:
            known = error.known if "@" in name else (*error.known, *self.aliases.names())
            raise UnknownModel(error.name, known) from None

    def has(self, name: str) -> bool:
        """Whether the model lies here. Raises UnknownModel."""
        return self._place(self.show(name)).is_dir()

    def path(self, name: str) -> Path:
        """The GGUF file (the first part of several), or the folder of other models.

        Raises UnknownModel or ModelMissing.
        """
        entry = self.show(name)
        place = self._place(entry)
        if not place.is_dir():
            raise ModelMissing(entry.address if "@" in name else entry.name, str(self.folder))
        return _main_file(entry, place)

    def size(self, name: str) -> int:
        """Bytes on the disk; 0 when the model is not here. Raises UnknownModel."""
        place = self._place(self.show(name))
        return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())

    def expected(self, name: str) -> dict[str, str] | None:
        """Each file's sha256, by the catalogue or by the first pull; None when nobody knows yet.

        Raises UnknownModel or NotAModel.
        """
        return self._expected(self.show(name))

    def pull(self, name: str, progress: Progress = _silent) -> Path:
        """Fetch a model unless it lies here whole, and say where: see `path`.

        Who asks while another fetches the same model waits, and finds it done.
        progress: told bytes so far and in all, from another thread.
        Raises UnknownModel, DownloadFailed, GatedModel, WrongHash (nothing is kept), NotAModel or
        HomeNotWritable.
        """
        entry = self.show(name)
        place = self._place(entry)
        if self._whole(entry, place):  # asked first: the folder may be read-only and still complete
            return _main_file(entry, place)
        try:
            with self._locked(entry, progress):
                if not self._whole(entry, place):
                    self._fetch(entry, place, progress)
        except OSError as error:
            raise HomeNotWritable(str(self.folder), error.strerror or str(error)) from error
        return _main_file(entry, place)

    def verify(self, name: str) -> tuple[Problem, ...]:
        """Hash every file anew, and say what is not as it should be.

        Raises UnknownModel, ModelMissing or NotAModel.
        """
        entry = self.show(name)
        place = self._place(entry)
        if not place.is_dir():
            raise ModelMissing(entry.address if "@" in name else entry.name, str(self.folder))
        return self._problems(place, self._expected(entry) or {})

    def remove(self, name: str) -> bool:
        """Remove a model's files, of all revisions unless one is named; False if there were none.

        The record of the first pull stays. Raises UnknownModel, ModelInUse while an alias has been
        pointed at it, or HomeNotWritable.
        """
        entry = self.show(name)
        one = "@" in name
        folder = self._place(entry) if one else self.folder / entry.name
        address = entry.address if one else entry.name
        pointing = self.aliases.moved_to(address)
        if pointing:
            raise ModelInUse(address, pointing)
        if not folder.is_dir():
            return False
        try:
            with self._locked(entry, _silent):
                shutil.rmtree(folder)
        except OSError as error:
            raise HomeNotWritable(str(folder), error.strerror or str(error)) from error
        return True

    def promote(self, alias: str, name: str, *, needed_here: bool = True) -> Entry:
        """Point an alias at the revision that a name means now, and say which that is.

        needed_here: whether the files must be here, as they must for the embedded engine.
        Raises UnknownModel, ModelMissing, AliasRefused or HomeNotWritable.
        """
        entry = self.show(name)
        if alias in self.catalogue.names():
            raise AliasRefused(alias, "a model of the catalogue has that name; choose another")
        if entry.kind != "generation":
            reason = (
                f"{entry.name} embeds text, and aliases are for models that generate it. Set "
                "embedding.model, then embed the documents again: llmasos knowledge rebuild"
            )
            raise AliasRefused(alias, reason)
        if needed_here:
            self.path(entry.address)
        self.aliases.promote(alias, entry.address)
        return entry

    def rollback(self, alias: str, *, needed_here: bool = True) -> Entry:
        """Point an alias at what it pointed at before, and say what that is. Raises as `promote`
        does, and AliasRefused when there is nothing before.
        """
        entry = self.catalogue.find(self.aliases.before(alias))
        if needed_here:
            self.path(entry.address)
        self.aliases.roll_back(alias, entry.address)
        return entry

    def _built_in_aliases(self) -> dict[str, str]:
        try:
            named = self.catalogue.aliases.items()
            return {alias: self.catalogue.find(name).address for alias, name in named}
        except UnknownModel as error:
            raise SettingsError(str(self.folder.parent / OWN_CATALOGUE), "", str(error)) from None

    def _place(self, entry: Entry) -> Path:
        return self.folder / entry.name / entry.revision

    def _fetch(self, entry: Entry, place: Path, progress: Progress) -> None:
        """Fetch aside, verify, rename into place, write down what came."""
        aside = self._aside(entry)
        aside.mkdir(parents=True, exist_ok=True)
        before = self._recorded(entry)
        fetched = fetch(entry, aside, progress, self.hub, before.commit if before else None)
        try:
            found = self._verified(entry, aside, fetched, before)
        except WrongHash:
            shutil.rmtree(aside)
            raise
        tidy(aside, fetched.names)
        size = sum((aside / name).stat().st_size for name in found)
        if before is None or before.files != found:
            entry_record = Record(entry.source, found, size, fetched.commit)
            records.record(self.folder, entry.address, entry_record)
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            shutil.rmtree(place)
        aside.rename(place)

    def _verified(
        self, entry: Entry, aside: Path, fetched: Fetched, before: Record | None
    ) -> dict[str, str]:
        """The files' sha256, held against all who know better. Raises WrongHash."""
        found: dict[str, str] = {}
        for name in fetched.names:
            stated = fetched.stated.get(name)
            differ = stated.found(aside / name) if stated else None
            if differ:
                raise WrongHash(entry.name, name, *differ, "the Hub")
            found[name] = sha256(aside / name)
            known = entry.files.get(name, FIRST_PULL)
            if known not in (FIRST_PULL, found[name]):
                raise WrongHash(entry.name, name, known, found[name], "the catalogue")
            first = before.files.get(name) if before else None
            if first not in (None, found[name]) and known == FIRST_PULL:
                raise WrongHash(entry.name, name, str(first), found[name], "the first pull")
        return found

    def _expected(self, entry: Entry) -> dict[str, str] | None:
        if entry.checked_by == "catalogue":
            return dict(entry.files)
        first = self._recorded(entry)
        return dict(first.files) if first else None

    def _recorded(self, entry: Entry) -> Record | None:
        """What was pulled first; nothing if it came from another source than it would now."""
        first = records.recorded(self.folder, entry.address)
        return first if first and first.source == entry.source else None

    def _whole(self, entry: Entry, place: Path) -> bool:
        """Whether every file is there and is the right one."""
        expected = self._expected(entry)
        return expected is not None and place.is_dir() and not self._problems(place, expected)

    @staticmethod
    def _problems(place: Path, expected: dict[str, str]) -> tuple[Problem, ...]:
        hashes = {
            name: sha256(place / name) if (place / name).is_file() else None for name in expected
        }
        return tuple(
            Problem(name, expected[name], found)
            for name, found in hashes.items()
            if found != expected[name]
        )

    def _aside(self, entry: Entry) -> Path:
        return self.folder / _PARTIAL / entry.address

    @contextmanager
    def _locked(self, entry: Entry, progress: Progress) -> Iterator[None]:
        """One process or thread at a time fetches a model; the others see how far it is.

        The lock is the kernel's: it goes with whoever holds it, however that ends.
        """
        locks = self.folder / _LOCKS
        locks.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(locks / entry.name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with watched(self._aside(entry), entry.download or entry.size or 0, progress):
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _main_file(entry: Entry, place: Path) -> Path:
    """What a program opens: the GGUF file (the first part of several), or the folder."""
    if entry.format != "gguf":
        return place
    return min(path for path in place.rglob("*.gguf"))
