"""What is said of collections: what one holds. What was done to it stands in `llmasos.upkeep`."""

from pydantic import BaseModel, ConfigDict


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
