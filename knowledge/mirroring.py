"""Mirroring: a collection follows its sources, and documents go when their files do.

The sources that a collection mirrors are kept in its store. A source that is gone or empty as a
whole is rather a disk that is not mounted: its documents stay unless that is wanted. Start reading
at `mirror`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from knowledge.collection import Collection
from knowledge.ingest import Adding
from knowledge.records import Known
from knowledge.sources import Root, Search, is_there, lasting
from llmasos.errors import InvalidRequest
from llmasos.upkeep import LeftOut, Report


@dataclass(frozen=True)
class SyncOptions:
    """How a source is mirrored."""

    dry_run: bool = False
    """Say what would be done, and do nothing."""
    allow_empty: bool = False
    """Remove the documents of a source that is empty or gone as well."""


def mirror(adding: Adding, given: Sequence[Path | str], options: SyncOptions) -> Report:
    """Bring a collection in line with its sources: those given and those that it remembers.

    Raises InvalidRequest when it has none.
    """
    remembered = _remembered(adding)
    if not given and not remembered:
        raise InvalidRequest(
            f"Collection '{adding.report.collection}' mirrors no source yet. Name one: "
            f"llmasos knowledge sync {adding.report.collection} SOURCE"
        )
    with TemporaryDirectory(prefix="llmasos-") as scratch, adding.reader() as reader:
        search = adding.search([*given, *remembered], reader, Path(scratch))
        gone = _gone(adding, search, options)
        by_content = {each.sha256: each for each in gone}
        adding.take(search.files.values(), reader, by_content, dry_run=options.dry_run)
    removed = sorted({each.source for each in gone} - set(adding.report.moved.values()))
    adding.report.removed.extend(removed)
    if not options.dry_run:
        _finish(adding, removed, search.roots)
    return adding.report


def remember(adding: Adding, given: Sequence[Path | str]) -> list[str]:
    """Have a collection mirror these as well, from the next time on; returns all that it mirrors.

    Raises InvalidRequest for a path that leads nowhere.
    """
    new = [lasting(each) for each in given]
    for each in new:
        if not is_there(each):
            raise InvalidRequest(f"There is no file or folder {each}.")
    with adding.make().store.write() as draft:
        sources = sorted({*draft.sources(), *new})
        draft.remember(sources)
    return sources


def forget(collection: Collection, given: Sequence[str]) -> list[str]:
    """Mirror these no longer; their documents stay. Returns what it still mirrors.

    Raises InvalidRequest for one that it does not mirror.
    """
    with collection.store.write() as draft:
        known = draft.sources()
        gone = {each if each in known else lasting(each) for each in given}
        if unknown := sorted(gone.difference(known)):
            mirrored = ", ".join(known) or "none"
            raise InvalidRequest(
                f"Collection '{collection.folder.name}' mirrors no source '{unknown[0]}'. "
                f"It mirrors: {mirrored}."
            )
        sources = [each for each in known if each not in gone]
        draft.remember(sources)
    return sources


def _remembered(adding: Adding) -> list[str]:
    if adding.collection is None:
        return []
    with adding.collection.store.read() as snapshot:
        return snapshot.sources()


def _gone(adding: Adding, search: Search, options: SyncOptions) -> list[Known]:
    """The documents whose files are no more, under the sources that are mirrored now."""
    gone: dict[str, Known] = {}
    for root in search.roots:
        inside = [each for each in adding.known.values() if root.covers(each.origin)]
        absent = [each for each in inside if each.origin not in search.files]
        alive = any(root.covers(origin) for origin in search.files)
        if alive:
            absent = [each for each in absent if not root.is_closed_to(each.origin)]
        elif absent and not options.allow_empty:
            reason = (
                f"nothing was found there, so its {len(absent)} documents stay; if it is to be "
                "empty, sync with --allow-empty"
            )
            adding.report.failed.append(LeftOut(source=root.given, reason=reason))
            continue
        gone.update((each.source, each) for each in absent)
    return list(gone.values())


def _finish(adding: Adding, removed: Sequence[str], roots: Sequence[Root]) -> None:
    """Remove what is gone, and remember the sources for the next time."""
    if adding.collection is None:
        return
    if removed:
        with adding.collection.write() as draft:
            for source in removed:
                draft.remove(source)
    with adding.collection.store.write() as draft:
        draft.remember(sorted({root.given for root in roots}))
