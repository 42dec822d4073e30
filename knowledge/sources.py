"""Which files a call means, and what each is called in its collection.

A file's *source* is the added folder's name and the path below it (`docs/billing/refunds.md`), or
the file's own name when it was added alone. It stays the same for the same file however it is
named the next time, and is unique in a collection: when another file bears it already, more of
the path is put in front. Start reading at `find` and `Names`.
"""

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath

from knowledge.report import Failure


@dataclass(frozen=True)
class File:
    """A file to add."""

    path: Path
    """Absolute."""
    name: str
    """What it would like to be called."""


@dataclass(frozen=True)
class Found:
    """What the paths of a call mean."""

    files: tuple[File, ...]
    failed: tuple[Failure, ...]
    skipped: int


def find(paths: Iterable[Path | str], suffixes: Collection[str]) -> Found:
    """The files that these paths mean; folders are searched, hidden entries left out.

    suffixes: what can be read. In a folder other files are counted; a file that is named itself
    is taken as it is, so that the report can say why it fails.
    """
    search = _Search(suffixes)
    for given in paths:
        try:
            search.take(given)
        except OSError as error:
            search.fail(given, error.strerror or str(error))
    return Found(tuple(search.files.values()), tuple(search.failed), search.skipped)


class _Search:
    """Gathers files, each once."""

    def __init__(self, suffixes: Collection[str]) -> None:
        self._suffixes = suffixes
        self.files: dict[Path, File] = {}
        self.failed: list[Failure] = []
        self.skipped = 0

    def fail(self, given: Path | str, reason: str) -> None:
        self.failed.append(Failure(source=str(given), reason=reason))

    def take(self, given: Path | str) -> None:
        """Take a file, or what is in a folder."""
        named = Path(os.path.abspath(Path(given).expanduser()))  # as the caller calls it
        path = named.resolve()
        if path.is_dir():
            self._take_folder(named, path)
        elif path.is_file():
            self.files.setdefault(path, File(path, named.name))
        elif path.exists():
            self.fail(given, "it is neither a file nor a folder")
        else:
            self.fail(given, "there is no such file or folder")

    def _take_folder(self, named: Path, root: Path) -> None:
        empty = True
        for path in self._walk(root):
            inside = path.resolve().is_relative_to(root)  # no way out by a link
            if path.suffix.lower() in self._suffixes and inside and path.is_file():
                empty = False
                name = PurePosixPath(named.name, *path.relative_to(root).parts)
                self.files.setdefault(path, File(path, name.as_posix()))
            else:
                self.skipped += 1
        if empty:
            known = ", ".join(sorted(self._suffixes))
            self.fail(named, f"no file in this folder ends in {known}")

    def _walk(self, root: Path) -> Iterator[Path]:
        """Every file below a folder that is not hidden, in order."""

        def closed(error: OSError) -> None:
            self.fail(str(error.filename), error.strerror or str(error))

        for folder, folders, names in os.walk(root, onerror=closed):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if not name.startswith("."):
                    yield Path(folder, name)


class Names:
    """The sources of a collection: who bears which."""

    def __init__(self, origins: dict[str, str]) -> None:
        """origins: source → absolute path of what is in the collection."""
        self._origins = dict(origins)
        self._sources = {origin: source for source, origin in origins.items()}

    def name(self, file: File) -> str:
        """The source of this file; from now on it is taken."""
        origin = str(file.path)
        source = self._sources.get(origin) or self._free(file, origin)
        self._origins[source], self._sources[origin] = origin, source
        return source

    def _free(self, file: File, origin: str) -> str:
        """Its own name, or one with more of the path: the first that no other living file has."""
        if self._is_free(file.name, origin):
            return file.name
        parts = PurePosixPath(file.path.as_posix()).parts[1:]
        known = len(PurePosixPath(file.name).parts)
        for length in range(known + 1, len(parts) + 1):
            name = PurePosixPath(*parts[-length:]).as_posix()
            if self._is_free(name, origin):
                return name
        numbered = (f"{number}/{file.name}" for number in count(2))
        return next(name for name in numbered if self._is_free(name, origin))

    def _is_free(self, source: str, origin: str) -> bool:
        """Whether nobody has it, or one whose file is gone: then this is that file, moved."""
        other = self._origins.get(source)
        return other in (None, origin) or not Path(str(other)).exists()
