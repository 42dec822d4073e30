"""What is said of a collection that is kept: its figures, its versions, and what a source means.

The part of `knowledge_base.py` that looks at one collection and changes nothing.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from knowledge.collection import Collection
from knowledge.index import EXACT
from knowledge.report import CollectionStats, DocumentInfo, VersionInfo
from llmasos.errors import InvalidRequest, nearest

NAMED = 20
"""Most documents that an error lists."""


def stats_of(collection: Collection) -> CollectionStats:
    """What a collection holds."""
    contents = collection.contents()
    with collection.store.read() as snapshot:
        documents, chunks = snapshot.counts()
    facts, version = contents.facts, contents.version
    return CollectionStats(
        collection=collection.folder.name,
        documents=documents,
        chunks=chunks,
        bytes=_disk_use(collection.folder),
        model=facts.model,
        dimension=facts.dimension,
        revision=facts.revision,
        readers=facts.readers,
        version=version.name if version else "",
        index=version.manifest.kind if version else EXACT,
        recall=version.manifest.recall if version else 1.0,
        tail=contents.tail,
        memory=version.manifest.bytes if version else 0,
    )


def versions_of(collection: Collection) -> list[VersionInfo]:
    """The versions that are kept, the latest first."""
    with collection.store.read() as snapshot:
        current = snapshot.facts().version
        return [
            VersionInfo(
                name=each.name,
                current=each.name == current,
                built_at=each.built_at,
                documents=len(each.documents),
                chunks=each.chunks,
                model=snapshot.facts_with(each.vectors).model,
            )
            for each in snapshot.versions()
        ]


def meant(sources: Sequence[str], documents: Sequence[DocumentInfo], collection: str) -> list[str]:
    """The documents that sources mean, by source: themselves, or those in folders.

    Raises InvalidRequest for one that means none.
    """
    known = [each.source for each in documents]
    return sorted({each for source in sources for each in _meant(source, known, collection)})


def _meant(source: str, known: list[str], collection: str) -> list[str]:
    """The documents that a source means: itself, those in that folder, or a passage's own."""
    if source in known:
        return [source]
    inside = [each for each in known if each.startswith(source.rstrip("/") + "/")]
    page = source.partition("#")[0]
    if not inside and page not in known:
        raise InvalidRequest(
            f"Collection '{collection}' has no document '{source}'."
            f"{nearest(source, tuple(known[:NAMED]))}"
        )
    return inside or [page]


def _disk_use(folder: Path) -> int:
    """Bytes of the files below a folder, of those that are still there."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total
