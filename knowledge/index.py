"""The vector index of a collection: the one module that knows FAISS.

An index is a file derived from the store. Its name says of which version of the store it is, and
carries a checksum, so that a stale, half-written or damaged file is never handed to FAISS.
"""

import os
import re
import secrets
import zlib
from collections.abc import Iterable
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
import structlog

from knowledge.embedding import Vectors
from llmasos.errors import HomeNotWritable

log = structlog.get_logger()

SUFFIX = ".faiss"
NAME = re.compile(r"(?P<version>\d+-[0-9a-f]+)\.(?P<checksum>[0-9a-f]{8})\.faiss")

Rows = tuple[npt.NDArray[np.int64], Vectors]
"""Ids of chunks and their vectors, shape (rows, dimension)."""


class VectorIndex:
    """Finds the nearest vectors by inner product, exactly; ids are those of the chunks."""

    def __init__(self, flat: "faiss.Index", version: str) -> None:
        self._flat = flat
        self.version = version

    @property
    def count(self) -> int:
        """How many vectors are in it."""
        return int(self._flat.ntotal)

    @property
    def dimension(self) -> int:
        """How long they are."""
        return int(self._flat.d)

    def search(self, vector: Vectors, k: int) -> list[tuple[int, float]]:
        """(id, inner product) of the k nearest, best first. vector: shape (dimension,)."""
        wanted = min(k, self.count)
        if wanted < 1:
            return []
        scores, ids = self._flat.search(vector.reshape(1, -1), wanted)
        return [(int(each), float(score)) for each, score in zip(ids[0], scores[0], strict=True)]


def build_index(batches: Iterable[Rows], dimension: int, version: str) -> VectorIndex:
    """An index of these vectors, for this version of the store."""
    flat = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
    for ids, vectors in batches:
        flat.add_with_ids(vectors, ids)
    return VectorIndex(flat, version)


def save_index(index: VectorIndex, folder: Path) -> Path:
    """Write an index aside and rename it, so that it is there whole or not at all.

    Raises HomeNotWritable.
    """
    data = faiss.serialize_index(index._flat).tobytes()
    path = folder / f"{index.version}.{zlib.crc32(data):08x}{SUFFIX}"
    aside = folder / f"{path.name}.{secrets.token_hex(4)}.new"
    try:
        with aside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise HomeNotWritable(str(folder), error.strerror or str(error)) from error
    return path


def load_index(folder: Path, version: str, dimension: int, count: int) -> VectorIndex | None:
    """The index of this version of the store; None when there is none that is sound.

    dimension, count: what the store says must be in it.
    """
    for path in folder.glob(f"{version}.*{SUFFIX}"):
        name = NAME.fullmatch(path.name)
        try:
            data = path.read_bytes() if name else b""
        except OSError:  # a writer has just replaced it
            continue
        if name and zlib.crc32(data) == int(name["checksum"], 16):
            index = VectorIndex(_parsed(data), version)
            if (index.dimension, index.count) == (dimension, count):
                return index
        log.warning("knowledge.index_damaged", path=str(path))
    return None


def discard_other_indexes(folder: Path, version: str) -> None:
    """Remove the index files of every other version; who reads one still may go on."""
    for path in [*folder.glob(f"*{SUFFIX}"), *folder.glob(f"*{SUFFIX}.*.new")]:
        if not path.name.startswith(f"{version}.") or path.name.endswith(".new"):
            path.unlink(missing_ok=True)


def _parsed(data: bytes) -> "faiss.Index":
    return faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8))
