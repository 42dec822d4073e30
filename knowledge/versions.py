"""Versions: immutable files derived from a store at one moment, each in a folder of its own.

A version is built aside and renamed, so that it is there whole or not at all; its manifest names
each file with its size and checksum, so that a damaged one is never handed to FAISS or tantivy.
Which version is in force stands in the store. Start reading at `build_version`.
"""

import os
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from knowledge.bags import Entry
from knowledge.index import Building, VectorIndex
from knowledge.keywords import KeywordIndex
from knowledge.records import Facts, Ids
from knowledge.snapshot import Snapshot
from knowledge.terms import RECIPE
from llmasos.errors import HomeNotWritable, IndexDamaged

VERSIONS = "versions"
"""The folder of a collection that the versions' folders are in."""
MANIFEST = "manifest.json"
KEYWORDS = "keywords"
ARRAYS = ("ids", "documents", "classes")
ASIDE = ".new"
READ = 1 << 22


class File(BaseModel):
    """A file as it was written."""

    bytes: int
    crc32: int


class Manifest(BaseModel):
    """What a version is."""

    model_config = ConfigDict(frozen=True)

    chunks: int
    dimension: int
    kind: str
    """Of its vector index: `flat`, `hnsw` or `ivf`."""
    effort: int
    """How hard the index looks: the least with which the sample was found."""
    recall: float
    """Share of a sample's 10 nearest chunks that it finds, measured when it was built."""
    terms: int
    """The recipe of the keyword index's terms."""
    files: dict[str, File]

    @property
    def bytes(self) -> int:
        """What it takes on disk, and at most in memory: all of it is mapped."""
        return sum(each.bytes for each in self.files.values())


@dataclass(frozen=True)
class Version:
    """An opened version; its arrays have an item for each row. Rows are chunks by id."""

    name: str
    manifest: Manifest
    index: VectorIndex
    keywords: KeywordIndex
    ids: Ids
    documents: Ids
    classes: npt.NDArray[np.int32]


def version_folder(collection: Path, name: str) -> Path:
    """Where a version of a collection is."""
    return collection / VERSIONS / name


def build_version(collection: Path, name: str, snapshot: Snapshot, facts: Facts) -> Version:
    """Make a version of what the snapshot shows, check it, and put it in its place.

    An index that does not find what an exact search finds is replaced by an exact one.
    Raises StoreDamaged, HomeNotWritable.
    """
    place = version_folder(collection, name)
    aside = place.with_name(f"{name}{ASIDE}")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        (aside / KEYWORDS).mkdir(parents=True)
        manifest = _write(aside, snapshot, facts)
        (aside / MANIFEST).write_text(manifest.model_dump_json())
        for path in [*_files(aside), aside / MANIFEST, aside / KEYWORDS, aside]:
            _sync(path)
        aside.rename(place)
        _sync(place.parent)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise HomeNotWritable(str(collection), error.strerror or str(error)) from error
    return open_version(collection, name)


def open_version(collection: Path, name: str) -> Version:
    """A version, mapped into memory. Raises IndexDamaged when a file is not as it was written."""
    folder = version_folder(collection, name)
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        for path, file in manifest.files.items():
            if _measured(folder / path) != file:
                raise IndexDamaged(str(folder), f"{path} is not as it was written")
        arrays = {each: np.load(folder / f"{each}.npy", mmap_mode="r") for each in ARRAYS}
    except (OSError, ValidationError, ValueError) as error:
        raise IndexDamaged(str(folder), _reason(error)) from error
    if manifest.terms != RECIPE:
        raise IndexDamaged(str(folder), "its keywords are of another recipe")
    version = Version(
        name=name,
        manifest=manifest,
        index=VectorIndex.open(folder, manifest.kind, manifest.effort),
        keywords=KeywordIndex.open(folder / KEYWORDS),
        **arrays,
    )
    counts = {version.index.count, version.keywords.count, *map(len, arrays.values())}
    if counts != {manifest.chunks} or version.index.dimension != manifest.dimension:
        raise IndexDamaged(str(folder), "its files do not belong together")
    return version


def discard_version(collection: Path, name: str) -> None:
    """Remove a version's files; who has them open may go on with them."""
    shutil.rmtree(version_folder(collection, name), ignore_errors=True)


def discard_other_versions(collection: Path, keep: set[str]) -> None:
    """Remove the files of all versions but these."""
    for folder in (collection / VERSIONS).glob("*"):
        if folder.name not in keep:
            discard_version(collection, folder.name)


def _write(folder: Path, snapshot: Snapshot, facts: Facts) -> Manifest:
    building = Building(facts.dimension)
    arrays: dict[str, list[npt.NDArray[np.integer]]] = {name: [] for name in ARRAYS}
    for piece in snapshot.pieces(facts):
        building.add(piece.vectors)
        for name, parts in arrays.items():
            parts.append(getattr(piece, name))
    whole = {name: np.concatenate(parts) for name, parts in arrays.items()}
    for name, array in whole.items():
        np.save(folder / f"{name}.npy", array)
    index, recall = building.checked()
    index.save(folder)
    KeywordIndex.build(folder / KEYWORDS, _entries(snapshot, whole["classes"]))
    return Manifest(
        chunks=len(whole["ids"]),
        dimension=facts.dimension,
        kind=index.kind,
        effort=index.effort,
        recall=recall,
        terms=RECIPE,
        files={path.relative_to(folder).as_posix(): _measured(path) for path in _files(folder)},
    )


def _entries(snapshot: Snapshot, classes: npt.NDArray[np.integer]) -> Iterator[Entry]:
    for row, each in enumerate(snapshot.texts()):
        yield Entry(row, int(classes[row]), each.chunk.embedded)


def _files(folder: Path) -> list[Path]:
    """Its files that matter: locks that a library leaves behind do not."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST and not path.name.endswith(".lock")
    ]


def _measured(path: Path) -> File:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(READ):
            checksum = zlib.crc32(block, checksum)
        return File(bytes=file.tell(), crc32=checksum)


def _sync(path: Path) -> None:
    """Have the disk keep a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).splitlines()[0]
