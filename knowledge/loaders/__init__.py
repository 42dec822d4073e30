"""The loaders there are, by the endings of the files that they read.

The built-in ones are entry points like any plug-in's. One bad file, and one bad loader, fails by
itself: whatever a loader raises becomes an UnreadableDocument.
"""

from collections.abc import Mapping
from pathlib import Path

from knowledge.documents import Document, Limits, Loader
from llmasos import plugins
from llmasos.errors import SettingsError, UnreadableDocument


def loaders_by_suffix() -> dict[str, Loader]:
    """Every ending that can be read and its loader.

    Raises SettingsError when a plug-in offers no `Loader` or two read the same ending.
    """
    loaders: dict[str, Loader] = {}
    for name, loader in plugins.load("llmasos.loaders"):
        if not isinstance(loader, Loader):
            raise SettingsError(f"llmasos.loaders.{name}", repr(loader), "is not a Loader")
        for suffix in loader.suffixes:
            if loaders.setdefault(suffix, loader) is not loader:
                raise SettingsError(
                    f"llmasos.loaders.{name}", suffix, "another plug-in reads that too; remove one"
                )
    return loaders


def loader_of(path: Path, loaders: Mapping[str, Loader]) -> Loader:
    """The loader of a file's ending. Raises UnreadableDocument when there is none."""
    try:
        return loaders[path.suffix.lower()]
    except KeyError:
        known = ", ".join(sorted(loaders))
        raise UnreadableDocument(
            path.name, f"files ending in '{path.suffix}' cannot be read; these can: {known}"
        ) from None


def read_document(path: Path, loader: Loader, limits: Limits) -> Document:
    """Read a file with a loader, here in this process. Raises UnreadableDocument."""
    try:
        document = loader.load(path, limits)
    except UnreadableDocument:
        raise
    except MemoryError as error:
        raise UnreadableDocument(path.name, OUT_OF_MEMORY) from error
    except OSError as error:
        raise UnreadableDocument(path.name, error.strerror or str(error)) from error
    except Exception as error:  # a loader's own failure on a hostile file, or a guest's
        reason = f"it is broken or of another kind than its name says ({type(error).__name__})"
        raise UnreadableDocument(path.name, reason) from error
    try:
        (document.title + document.text).encode()
    except UnicodeEncodeError as error:
        raise UnreadableDocument(path.name, "its text is not sound Unicode") from error
    if len(document.text) > limits.text:
        raise UnreadableDocument(
            path.name,
            f"its text has more than {limits.text:,} characters (knowledge.max_text); split it",
        )
    if not document.text[document.begin :].strip():
        raise UnreadableDocument(path.name, "it is empty")
    return document


OUT_OF_MEMORY = "reading it takes more memory than knowledge.parse_memory allows; split it"
