"""The port to the upkeep of knowledge: collections follow their sources, and it is reported.

The kernel's side: a flow asks an `Upkeep`, `knowledge` fills it in. What is found in collections is
asked of a `retrieval.Retriever`. Knows nothing of files or indexes.
"""

from collections.abc import Callable
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from llmasos.request import Principal


class LeftOut(BaseModel):
    """A file that is not in the collection as it is, and why."""

    model_config = ConfigDict(frozen=True)

    source: str
    """The path or address as it was given, or the file below it."""
    reason: str


class Report(BaseModel):
    """What was done to a collection, by source."""

    collection: str
    added: list[str] = []
    changed: list[str] = []
    unchanged: list[str] = []
    moved: dict[str, str] = {}
    """The new source of a document whose file was moved or renamed, and the old one."""
    removed: list[str] = []
    failed: list[LeftOut] = []
    """What could not be read; what was there of it stays."""
    skipped: list[LeftOut] = []
    """What lies in the folders and was not meant: no loader reads it, or `.gitignore` names it."""

    @property
    def counts(self) -> dict[str, int]:
        """How many documents each became of."""
        names = ("added", "changed", "unchanged", "moved", "removed", "failed")
        return {name: len(getattr(self, name)) for name in names}

    @property
    def summary(self) -> str:
        """It in a line."""
        said = ", ".join(f"{count} {name}" for name, count in self.counts.items() if count)
        return f"{self.collection}: {said or 'nothing to do'}"

    @property
    def only_failed(self) -> bool:
        """Whether nothing came of all that was tried."""
        counts = self.counts
        return bool(counts.pop("failed")) and not any(counts.values())


class Progress(BaseModel):
    """How far a long work is."""

    model_config = ConfigDict(frozen=True)

    done: int
    total: int
    source: str
    """What is being worked on."""


Notify = Callable[[Progress], None]
"""Who wants to know how far a work is; what it raises ends the work."""


class Upkeep(Protocol):
    """Keeps collections as their sources are. It is a `knowledge.KnowledgeBase`."""

    def sync_again(self, collection: str, principal: Principal, progress: Notify) -> Report:
        """Mirror the sources that a collection remembers, and no others.

        Raises UnknownCollection for one that there is not, or that the principal may not read;
        InvalidRequest for one that mirrors no source.
        """
        ...
