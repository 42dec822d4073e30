"""What a file is called in its collection: its source.

A source is the added folder's name and the path below it (`docs/billing/refunds.md`), or the file's
own name when it was added alone. It stays the same for the same file however it is named the next
time, and is unique in a collection: when another file bears it already, more of the path is put in
front.
"""

import re
from itertools import count
from pathlib import Path, PurePosixPath

from knowledge.sources import INSIDE, File
from llmasos.errors import InvalidRequest

UNFIT = re.compile(r"[\x00-\x1f\x7f#\\?*\[\]!:]")
LONGEST = 300


class Names:
    """The sources of a collection: who bears which."""

    def __init__(self, origins: dict[str, str]) -> None:
        """origins: source → where it comes from, of what is in the collection."""
        self._origins = dict(origins)
        self._sources = {origin: source for source, origin in origins.items()}

    def name(self, file: File) -> str:
        """The source of this file; from now on it is taken."""
        source = self._sources.get(file.origin) or self._free(file)
        self._origins[source], self._sources[file.origin] = file.origin, source
        return source

    def rename(self, before: str, file: File) -> str:
        """The source of this file, which was another's: its own name if that is free."""
        del self._sources[self._origins.pop(before)]
        return self.name(file)

    def _free(self, file: File) -> str:
        """Its own name, or one with more of the path: the first that no other living file has."""
        if self._is_free(file.name, file.origin):
            return file.name
        parts = PurePosixPath(file.origin.partition("://")[2] or file.origin).parts[1:]
        known = len(PurePosixPath(file.name).parts)
        for length in range(known + 1, len(parts) + 1):
            name = PurePosixPath(*parts[-length:]).as_posix().replace(INSIDE, "/")
            if self._is_free(name, file.origin):
                return name
        numbered = (f"{number}/{file.name}" for number in count(2))
        return next(name for name in numbered if self._is_free(name, file.origin))

    def _is_free(self, source: str, origin: str) -> bool:
        """Whether nobody has it, or one whose file is gone: then this is that file, moved."""
        other = self._origins.get(source)
        return other in (None, origin) or is_gone(str(other))


def is_gone(origin: str) -> bool:
    """Whether the file that a document comes from is no more; pages and uploads are not asked."""
    return origin.startswith("/") and not Path(origin.partition(INSIDE)[0]).exists()


def upload_name(given: str) -> str:
    """A name that a sender gives, as a source: a path that stays inside and can be typed.

    Raises InvalidRequest when nothing is left of it.
    """
    parts = [" ".join(UNFIT.sub(" ", part).split()) for part in given.replace("\\", "/").split("/")]
    name = "/".join(part for part in parts if part.strip(". "))
    if not name or len(name) > LONGEST:
        raise InvalidRequest(f"The document needs a name of 1 to {LONGEST} characters.")
    return name
