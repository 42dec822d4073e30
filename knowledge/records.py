"""What a store keeps, as values: between `store.py` and everyone who reads or writes one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from knowledge.chunking import Chunk

Ids = npt.NDArray[np.int64]
"""Ids of chunks or documents, ascending."""
SHARED = 0
"""The access class of documents without readers of their own."""


@dataclass(frozen=True)
class Facts:
    """What holds for a whole collection: the one cheap read of a search."""

    model: str
    """The embedding model that made the vectors."""
    dimension: int
    vectors: int
    """Which of the store's tables of vectors is theirs."""
    revision: int
    """One more with every write."""
    version: str
    """The published version's name, or '' before the first."""
    readers: tuple[str, ...]
    calibration: str
    """Its own calibration of relevance as JSON, or '' for the default."""


@dataclass(frozen=True)
class Known:
    """A document that the store has."""

    source: str
    origin: str
    """Where it was read: an absolute path, or another address."""
    sha256: str
    recipe: int
    title: str


@dataclass(frozen=True)
class Entry:
    """A document to be stored."""

    source: str
    origin: str
    title: str
    sha256: str
    bytes: int
    chunks: Sequence[Chunk]
    recipe: int
    """The number of the recipe that it was cut by."""
    metadata: Mapping[str, object] = field(default_factory=dict)
    """What is known of it beside its text; searches can be narrowed by it."""


@dataclass(frozen=True)
class StoredChunk:
    """A chunk and the document that it is of."""

    id: int
    source: str
    chunk: Chunk
    origin: str = ""
    """Where the document was read."""


@dataclass(frozen=True)
class Published:
    """A version as the store knows it: what was in the collection when it was made."""

    name: str
    built_at: str
    """ISO 8601 in UTC."""
    watermark: int
    """The last chunk's id at that moment: later chunks are not in it."""
    chunks: int
    vectors: int
    """Which table of vectors it was made of."""
    documents: Ids
    """The documents that are in it."""


@dataclass(frozen=True)
class Piece:
    """Some chunks with what an index needs of them: arrays of equal length, by ascending id."""

    ids: Ids
    documents: Ids
    classes: npt.NDArray[np.int32]
    """Access classes."""
    vectors: npt.NDArray[np.float32]
    """Shape (chunks, dimension)."""
