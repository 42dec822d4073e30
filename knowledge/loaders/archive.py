"""Zip archives: what is in one is put into a folder, to be read from there like any other.

Names that lead out of the folder, links, locked members and bombs are refused, the archive as a
whole: one that holds such a thing was made to do harm.
"""

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from knowledge.documents import Limits
from llmasos.errors import UnreadableDocument

SUFFIX = ".zip"
MOST_RATIO = 1_000
"""To how many times its size an archive may unpack: deflate itself reaches 1,032 on zeros."""
LONGEST_PATH = 1_000


def unpack(path: Path, into: Path, limits: Limits, files: int) -> list[str]:
    """Unpack an archive. into: an empty folder; files: the most that it may hold.

    Returns the members' names, with folders parted by `/`. Raises UnreadableDocument.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            _check(path, members, limits, files)
            for member in members:
                target = into / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as packed, target.open("xb") as file:
                    shutil.copyfileobj(packed, file)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError) as error:
        raise UnreadableDocument(path.name, f"it is not a sound zip archive: {error}") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise UnreadableDocument(path.name, f"it cannot be unpacked: {error}") from error
    return [each.filename for each in members]


def _check(path: Path, members: list[zipfile.ZipInfo], limits: Limits, files: int) -> None:
    """Refuse what should not be unpacked. Sizes may lie, but no more than these are ever read."""
    if len(members) > files:
        raise UnreadableDocument(
            path.name, f"it holds {len(members):,} files, more than {files:,} (knowledge.max_files)"
        )
    unpacked = sum(each.file_size for each in members)
    if unpacked > min(limits.unpacked, MOST_RATIO * path.stat().st_size):
        raise UnreadableDocument(
            path.name,
            f"it unpacks to {unpacked:,} bytes: more than {limits.unpacked:,} "
            f"(knowledge.max_unpacked_bytes) or {MOST_RATIO} times its size",
        )
    for each in members:
        if each.flag_bits & 1:
            raise UnreadableDocument(path.name, "it is encrypted; make it without a password")
        if not _stays_inside(each):
            raise UnreadableDocument(
                path.name, f"'{each.filename[:100]}' in it would be put outside of its folder"
            )


def _stays_inside(member: zipfile.ZipInfo) -> bool:
    name = member.filename
    parts = PurePosixPath(name).parts
    link = stat.S_ISLNK(member.external_attr >> 16)
    plain = not ({"\\", "\0", ":"} & set(name)) and not name.startswith("/")
    return bool(parts) and plain and ".." not in parts and not link and len(name) <= LONGEST_PATH
