"""Which files a call means: paths, folders, globs, zip archives and web pages become `File`s.

Folders are searched; hidden entries, and those that a `.gitignore` names, are left out. Archives
are unpacked and pages fetched into a scratch folder. Nothing here knows of a collection; what a
file is called in one stands in `names.py`. Start reading at `Search.take`.
"""

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec

from knowledge.ignoring import Ignored
from knowledge.loaders.archive import SUFFIX as ARCHIVE
from knowledge.pages import fetch, is_url
from knowledge.reader import Reader
from llmasos.errors import InvalidRequest, UnreadableDocument
from llmasos.settings import KnowledgeSettings
from llmasos.upkeep import LeftOut

WILD = re.compile(r"[*?\[]")
INSIDE = "!/"
"""Between an archive's path and a member's."""


@dataclass(frozen=True)
class File:
    """A file to add."""

    path: Path
    """Where its bytes are now."""
    name: str
    """What it would like to be called."""
    origin: str
    """Where it comes from, the same each time: an absolute path, `ARCHIVE!/MEMBER`, a web address,
    or `upload:NAME`."""


@dataclass(frozen=True)
class Root:
    """What one given path or address means, so that the same can be meant again."""

    given: str
    """An absolute path, with or without wildcards, or a web address."""
    closed: tuple[str, ...]
    """Folders and archives in it that could not be searched: whatever they hold may still be."""

    def covers(self, origin: str) -> bool:
        """Whether a document from there comes from this root."""
        base, pattern = _parted(self.given)
        if not pattern:
            return _below(origin, self.given)
        outer = origin.partition(INSIDE)[0]
        return _below(outer, base) and _matches(pattern, outer.removeprefix(base))

    def is_closed_to(self, origin: str) -> bool:
        """Whether it could not be seen if there still is a file there."""
        return any(_below(origin, each) for each in self.closed)


class Search:
    """Gathers the files that paths and addresses mean, each once."""

    def __init__(
        self, reader: Reader, readable: Collection[str], scratch: Path, settings: KnowledgeSettings
    ) -> None:
        """readable: endings that a loader reads; scratch: an empty folder for what is unpacked."""
        self._reader = reader
        self._readable = readable
        self._scratch = scratch
        self._settings = settings
        self.files: dict[str, File] = {}
        """By origin."""
        self.failed: list[LeftOut] = []
        self.skipped: list[LeftOut] = []
        self.roots: list[Root] = []

    def take(self, given: Path | str) -> None:
        """Take what a path or address means. Raises InvalidRequest beyond the limit on files."""
        closed = len(self.failed)
        name = lasting(given)
        try:
            if is_url(name):
                self._take_page(name)
            else:
                self._take_path(Path(name))
        except UnreadableDocument as error:
            self._fail(name, error.reason)
        except (OSError, ValueError) as error:
            self._fail(name, getattr(error, "strerror", None) or str(error))
        shut = tuple(each.source for each in self.failed[closed:])
        self.roots.append(Root(name, shut))

    def _take_path(self, named: Path) -> None:
        """Take a file, or what is in a folder or archive; named: as the caller calls it."""
        path = named.resolve()
        if path.is_dir():
            self._take_folder(named, path, "")
        elif path.is_file():
            self._take_file(path, named.name)
        elif path.exists():
            self._fail(str(named), "it is neither a file nor a folder")
        elif WILD.search(str(named)):
            base, pattern = _parted(str(named))
            self._take_folder(Path(base), Path(base).resolve(), pattern)
        else:
            self._fail(str(named), "there is no such file or folder")

    def _take_file(self, path: Path, name: str) -> None:
        if path.suffix.lower() == ARCHIVE:
            self._take_archive(path, name)
        else:
            self._add(File(path, name, str(path)))

    def _take_folder(self, named: Path, root: Path, pattern: str) -> None:
        """Take what can be read in a folder. pattern: of what, as in `.gitignore`; '' for all."""
        before = len(self.files)
        for path in self._walk(named, root):
            inside = path.relative_to(root).as_posix()
            if pattern and not _matches(pattern, f"/{inside}"):
                continue
            if reason := self._why_not(path, root):
                self.skipped.append(LeftOut(source=str(path), reason=reason))
            else:
                self._take_file(path, PurePosixPath(named.name, inside).as_posix())
        if len(self.files) == before:
            known = ", ".join(sorted(self._readable))
            self._fail(str(named), f"nothing in it matches, or ends in {known}")

    def _why_not(self, path: Path, root: Path) -> str | None:
        """Why a file in a folder is left out; None when it is not."""
        if path.suffix.lower() not in (ARCHIVE, *self._readable):
            return f"no loader reads files ending in '{path.suffix}'"
        if not path.resolve().is_relative_to(root):
            return "it is a link that leads out of the folder"
        return None if path.is_file() else "it is no file"

    def _walk(self, named: Path, root: Path) -> Iterator[Path]:
        """Every file below a folder that is neither hidden nor ignored, in order."""

        def closed(error: OSError) -> None:
            self._fail(str(error.filename), error.strerror or str(error))

        ignored = Ignored(root)
        for folder, folders, names in os.walk(root, onerror=closed):
            here = Path(folder)
            ignored.enter(here)
            folders[:] = [
                name for name in sorted(folders) if self._seen(here / name, ignored, is_dir=True)
            ]
            for name in sorted(names):
                if self._seen(here / name, ignored, is_dir=False):
                    yield here / name

    def _seen(self, path: Path, ignored: Ignored, *, is_dir: bool) -> bool:
        if path.name.startswith("."):
            return False
        if ignored.has(path, is_dir=is_dir):
            self.skipped.append(LeftOut(source=str(path), reason=".gitignore names it"))
            return False
        return True

    def _take_archive(self, path: Path, name: str) -> None:
        """Take what can be read in an archive, under the archive's name."""
        if path.stat().st_size > self._settings.max_file_bytes:
            self._fail(str(path), too_large(path.stat().st_size, self._settings))
            return
        folder = self._scratch / f"archive-{len(self.files)}-{len(self.failed)}"
        folder.mkdir()
        try:
            members = self._reader.unpack(path, folder)
        except UnreadableDocument as error:
            self._fail(str(path), error.reason)
            return
        for member in members:
            origin = f"{path}{INSIDE}{member}"
            hidden = any(part.startswith((".", "__MACOSX")) for part in member.split("/"))
            if not hidden and PurePosixPath(member).suffix.lower() in self._readable:
                self._add(File(folder / member, f"{name}/{member}", origin))
            elif not hidden:
                reason = f"no loader reads files ending in '{PurePosixPath(member).suffix}'"
                self.skipped.append(LeftOut(source=origin, reason=reason))

    def _take_page(self, url: str) -> None:
        folder = self._scratch / f"page-{len(self.files)}-{len(self.failed)}"
        folder.mkdir()
        page = fetch(url, folder, self._settings)
        self._add(File(page.path, page.name, url))

    def _add(self, file: File) -> None:
        self.files.setdefault(file.origin, file)
        if len(self.files) > self._settings.max_files:
            raise InvalidRequest(
                f"These are more than {self._settings.max_files:,} files (knowledge.max_files). "
                "Name fewer folders at a time."
            )

    def _fail(self, source: str, reason: str) -> None:
        self.failed.append(LeftOut(source=source, reason=reason))


def lasting(given: Path | str) -> str:
    """What a path or address is called wherever it is asked from."""
    return str(given) if is_url(str(given)) else os.path.abspath(Path(given).expanduser())


def is_there(source: str) -> bool:
    """Whether a lasting path leads to something; addresses and wildcards may at any time."""
    return is_url(source) or bool(WILD.search(source)) or Path(source).exists()


def too_large(size: int, settings: KnowledgeSettings) -> str:
    """Why a file of this size is not read."""
    return (
        f"it has {size:,} bytes, more than {settings.max_file_bytes:,} "
        "(knowledge.max_file_bytes); split it"
    )


def _below(origin: str, root: str) -> bool:
    """Whether it is the root itself, or in that folder or archive."""
    return origin == root or origin.startswith((root.rstrip("/") + "/", root + INSIDE))


def _parted(given: str) -> tuple[str, str]:
    """A path in front of its first wildcard, and the pattern below it with a leading `/`, or ''."""
    if is_url(given) or not WILD.search(given):
        return given, ""
    parts = PurePosixPath(given).parts
    fixed = next(place for place, part in enumerate(parts) if WILD.search(part))
    return PurePosixPath(*parts[:fixed]).as_posix(), "/" + "/".join(parts[fixed:])


def _matches(pattern: str, path: str) -> bool:
    """Whether a path below the pattern's folder is meant; both begin with `/`."""
    return _spec(pattern).match_file(path.lstrip("/"))


@cache
def _spec(pattern: str) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines([pattern])
