"""Keeping knowledge over HTTP: figures, versions, rights, measuring, and removing a collection.

What `knowledge.py` beside it brings in and finds. Whoever may not read a collection finds none.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from integrations.http_api import refusals
from integrations.http_api.callers import Administers, Reads, Writes
from integrations.http_api.doors import Here, short, upload
from integrations.http_api.knowledge import check_readable
from knowledge.evaluation import Judged
from knowledge.report import CollectionStats, VersionInfo
from llmasos.errors import InvalidRequest
from llmasos.upkeep import Report

MOST_QUERIES = 500
router = APIRouter(prefix="/v1/knowledge", tags=["knowledge"], responses=refusals.described(404))


@router.get("/{collection}")
async def stats(doors: Here, caller: Reads, collection: str) -> CollectionStats:
    """What a collection holds: documents, chunks, bytes, its index and version."""

    def told() -> CollectionStats:
        check_readable(doors, caller.principal, collection)
        return doors.knowledge.stats(collection)

    return await short(told)


@router.delete("/{collection}")
async def remove(doors: Here, caller: Writes, collection: str) -> Report:
    """Remove a collection with all its documents."""

    def removed() -> Report:
        check_readable(doors, caller.principal, collection)
        return doors.knowledge.remove(collection)

    return await short(removed)


class Versions(BaseModel):
    """The versions of a collection."""

    versions: list[VersionInfo]


@router.get("/{collection}/versions")
async def versions(doors: Here, caller: Reads, collection: str) -> Versions:
    """The versions that are kept, the latest first."""

    def kept() -> Versions:
        check_readable(doors, caller.principal, collection)
        return Versions(versions=doors.knowledge.versions(collection))

    return await short(kept)


class Rollback(BaseModel):
    """Where to go back to."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    version: str | None = None
    """A version's name; left out: the last that differs from what there is."""


@router.post("/{collection}/rollback")
async def rollback(doors: Here, caller: Writes, collection: str, body: Rollback) -> CollectionStats:
    """Have the documents of an earlier version again; readers' rights stay as they are."""

    def undone() -> CollectionStats:
        check_readable(doors, caller.principal, collection)
        return doors.knowledge.rollback(collection, body.version)

    return await short(undone)


class Readers(BaseModel):
    """Who may read."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    readers: Annotated[list[str], Field(min_length=1)] | None
    """`everyone`, principals, `team:…`, `channel:…`, `group:…`; null: the collection's, for
    documents that had others."""
    documents: list[str] = []
    """Documents, or folders of them, that are meant; left out: the collection."""


@router.put("/{collection}/readers", status_code=204)
async def set_readers(doors: Here, _: Administers, collection: str, body: Readers) -> None:
    """Say who may read a collection, or some of its documents."""

    def said() -> None:
        if body.readers is None and not body.documents:
            raise InvalidRequest("Name the documents that shall have no readers of their own.")
        if body.documents:
            doors.knowledge.set_document_readers(collection, body.documents, body.readers)
        elif body.readers is not None:
            doors.knowledge.set_readers(collection, body.readers)

    await short(said)


class Question(BaseModel):
    """A question, and what answers it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    query: str = Field(max_length=2_000)
    relevant: list[str] = []
    answerable: bool | None = None


class Evaluate(BaseModel):
    """Questions, and what answers them."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    queries: Annotated[list[Question], Field(min_length=1, max_length=MOST_QUERIES)]
    """Each with `query`, `relevant` (sources) and, where it matters, `answerable`."""
    per_query: bool = False
    """Whether to say what became of each."""


@router.post("/{collection}/evaluate")
async def evaluate(
    doors: Here, caller: Reads, collection: str, body: Evaluate, request: Request
) -> dict[str, Any]:
    """Measure how well a collection answers judged queries, with the caller's rights."""

    def measured() -> dict[str, Any]:
        judged = [Judged.model_validate(each.model_dump()) for each in body.queries]
        run = doors.knowledge.evaluate(collection, judged, caller.principal)
        return run.model_dump(mode="json", exclude=None if body.per_query else {"outcomes"})

    return await upload(request, measured)
