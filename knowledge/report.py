"""What is said of collections: what an add did, what a collection holds."""

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict


class Failure(BaseModel):
    """A document that could not be added."""

    model_config = ConfigDict(frozen=True)

    source: str
    """The path as it was given, or the file below it."""
    reason: str


class Report(BaseModel):
    """What was done to a collection, by source."""

    collection: str
    added: list[str] = []
    changed: list[str] = []
    unchanged: list[str] = []
    removed: list[str] = []
    failed: list[Failure] = []
    skipped: int = 0
    """Files in the folders whose ending no loader reads."""


class Progress(BaseModel):
    """How far a long work is."""

    model_config = ConfigDict(frozen=True)

    done: int
    total: int
    source: str
    """What is being worked on."""


Notify = Callable[[Progress], None]
"""Who wants to know how far a work is."""


class DocumentInfo(BaseModel):
    """A document of a collection."""

    model_config = ConfigDict(frozen=True)

    source: str
    title: str
    chunks: int
    bytes: int
    """The file's size."""
    added_at: str
    """When it was read last, ISO 8601 in UTC."""


class CollectionStats(BaseModel):
    """What a collection holds."""

    model_config = ConfigDict(frozen=True)

    collection: str
    documents: int
    chunks: int
    bytes: int
    """What it takes on disk."""
    model: str
    """The embedding model that it was built with."""
    dimension: int
    version: str
    """Changes with every write."""
    readers: tuple[str, ...]
