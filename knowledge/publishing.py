"""Publishing: when a collection gets a new version, how it is swapped in, and how it is undone.

All of it is for the one writer: hold `locked` around each call. A crash at any moment leaves the
old version in force, and at most a folder that no version names. Start reading at `publish`.
"""

import secrets
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import structlog

from knowledge.records import Facts, Published
from knowledge.snapshot import Snapshot
from knowledge.store import Store
from knowledge.versions import Version, build_version, discard_other_versions, open_version
from llmasos.errors import IndexDamaged, InvalidRequest, UnknownVersion

log = structlog.get_logger()

LEAST = 256
"""Rows that must have changed for a new version: so few are searched one by one in no time."""
SHARE = 0.05
"""Share of a version's rows that must have changed."""
WHILE_ADDING = 8_192
"""Rows that may wait while more are being added, unless the version itself has more."""


def is_due(snapshot: Snapshot, facts: Facts) -> bool:
    """Whether so much changed since the version in force that a new one should be made."""
    current = in_force(snapshot, facts)
    if current is None:
        return snapshot.added_since(0) > 0
    added = snapshot.added_since(current.watermark)
    removed = snapshot.chunks_of(np.intersect1d(snapshot.dead(), current.documents))
    return added + removed > max(LEAST, SHARE * current.chunks)


def is_overdue(snapshot: Snapshot, facts: Facts) -> bool:
    """Whether even an add that goes on should stop for a new version: readers get slow."""
    current = in_force(snapshot, facts)
    limit = max(WHILE_ADDING, current.chunks if current else 0)
    watermark = current.watermark if current else 0
    return snapshot.may_have_added(watermark, limit) and snapshot.added_since(watermark) > limit


def publish(folder: Path, store: Store, keep: int, vectors: int | None = None) -> Version | None:
    """Make a version of what is in the store, check it, and let every reader use it.

    keep: how many earlier ones stay for rolling back. vectors: which table of vectors becomes the
    one in force; None for the same. Returns None for a collection without chunks, which has none.
    Raises StoreDamaged, HomeNotWritable.
    """
    with store.read() as snapshot:
        facts = snapshot.facts() if vectors is None else snapshot.facts_with(vectors)
        watermark = snapshot.last_chunk()
        name = f"{facts.revision}-{secrets.token_hex(4)}"
        version = build_version(folder, name, snapshot, facts) if watermark else None
        published = Published(
            name=name,
            built_at=datetime.now(UTC).isoformat(timespec="seconds"),
            watermark=watermark,
            chunks=len(version.ids) if version else 0,
            vectors=facts.vectors,
            documents=snapshot.live(),
        )
    with store.write() as draft:
        if version is None:
            draft.unpublish(published.vectors)
        else:
            draft.publish(published)
        kept = draft.versions()
        draft.forget([each.name for each in kept[keep + 1 :]])
    discard_other_versions(folder, {each.name for each in kept[: keep + 1]})
    if version is not None:
        log.info(
            "knowledge.published",
            collection=folder.name,
            version=name,
            chunks=published.chunks,
            kind=version.manifest.kind,
            recall=round(version.manifest.recall, 4),
        )
    return version


def roll_back(folder: Path, store: Store, keep: int, name: str | None) -> None:
    """Have the documents of an earlier version again, searched in its files.

    name: of the version; None for the last one that differs from what there is. Readers' rights
    stay as they are today. Raises UnknownVersion, InvalidRequest.
    """
    with store.read() as snapshot:
        target = _earlier(folder, snapshot) if name is None else _named(snapshot, name)
    with store.write() as draft:
        draft.roll_back(target)
    try:
        open_version(folder, target.name)
    except IndexDamaged as error:
        log.warning("knowledge.index_damaged", path=error.path, reason=error.reason)
        publish(folder, store, keep)


def _named(snapshot: Snapshot, name: str) -> Published:
    kept = {each.name: each for each in snapshot.versions()}
    if name not in kept:
        raise UnknownVersion(name, tuple(kept))
    return kept[name]


def _earlier(folder: Path, snapshot: Snapshot) -> Published:
    """The latest version from the one in force on that differs from what there is."""
    facts, live = snapshot.facts(), snapshot.live()
    kept = snapshot.versions()
    since = next((n for n, each in enumerate(kept) if each.name == facts.version), 0)
    for each in kept[since:]:
        if each.vectors != facts.vectors or not np.array_equal(live, each.documents):
            return each
    raise InvalidRequest(
        f"Collection '{folder.name}' keeps no earlier version that differs from what there is. "
        f"`llmasos knowledge versions {folder.name}` lists those that are kept."
    )


def in_force(snapshot: Snapshot, facts: Facts) -> Published | None:
    """The version that searches use."""
    return next((each for each in snapshot.versions() if each.name == facts.version), None)
