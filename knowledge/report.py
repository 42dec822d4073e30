"""What is said of collections: what an add did, what a collection holds."""

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict


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
    readers: tuple[str, ...] | None = None
    """Who may read it, of those that may read the collection; None: all of them."""


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
    revision: int
    """One more with every write."""
    readers: tuple[str, ...]
    version: str
    """The version in force, or '' for a collection that has none."""
    index: str
    """Of its vectors: `flat` (each is compared), `hnsw` (a graph) or `ivf` (lists)."""
    recall: float
    """Share of a sample's 10 nearest chunks that the index finds; 1 where each is compared."""
    tail: int
    """Chunks that came after the version: they are searched one by one."""
    memory: int
    """Bytes of the version's files, which searching maps into memory; processes share them."""


class VersionInfo(BaseModel):
    """A version of a collection that is kept."""

    model_config = ConfigDict(frozen=True)

    name: str
    current: bool
    """Whether it is the one in force."""
    built_at: str
    """ISO 8601 in UTC."""
    documents: int
    chunks: int
    model: str
    """The embedding model that it was built with."""
