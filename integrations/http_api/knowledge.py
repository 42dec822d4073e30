"""Knowledge over HTTP: search collections, and see what is in them.

Callers see the collections that they may read; the others do not exist for them.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from integrations.app import Doors
from integrations.http_api.doors import Here, short
from knowledge.readers import may_read
from knowledge.report import CollectionStats, DocumentInfo, Report
from llmasos.errors import StoreDamaged, UnknownCollection
from llmasos.request import LOCAL, Principal

router = APIRouter(prefix="/v1/knowledge", tags=["knowledge"])


class Search(BaseModel):
    """What is looked for."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    query: str = Field(max_length=2_000)
    """Words or a question."""
    k: int = Field(default=5, ge=1, le=100)
    """How many passages."""
    principal: Principal | None = None
    """With whose rights; the caller's own when it is left out."""


class Collections(BaseModel):
    """The collections there are for a caller."""

    collections: list[CollectionStats]
    damaged: list[str]
    """Why others cannot be opened, and how to mend them."""


@router.get("")
async def collections(doors: Here) -> Collections:
    """The collections that the caller may read; a damaged one does not hide the others."""
    return await short(_readable, doors)


@router.post("/{collection}/search")
async def search(doors: Here, collection: str, body: Search) -> dict[str, list[dict[str, Any]]]:
    """The passages nearest to the query, best first."""

    def found() -> list[dict[str, Any]]:
        passages = doors.knowledge.search(
            body.query, collections=[collection], principal=body.principal or LOCAL, k=body.k
        )
        return [each.model_dump(mode="json", exclude={"collection"}) for each in passages]

    return {"passages": await short(found)}


@router.get("/{collection}/documents")
async def documents(doors: Here, collection: str) -> dict[str, list[DocumentInfo]]:
    """A collection's documents, by source."""

    def listed() -> list[DocumentInfo]:
        _check_readable(doors, collection)
        return doors.knowledge.documents(collection)

    return {"documents": await short(listed)}


@router.delete("/{collection}/documents")
async def remove(
    doors: Here, collection: str, source: Annotated[list[str], Query(min_length=1)]
) -> Report:
    """Remove documents by source, or folders of them."""

    def removed() -> Report:
        _check_readable(doors, collection)
        return doors.knowledge.remove(collection, source)

    return await short(removed)


def _readable(doors: Doors) -> Collections:
    found, damaged = [], []
    for name in doors.knowledge.collections():
        try:
            found.append(doors.knowledge.stats(name))
        except StoreDamaged as error:
            damaged.append(str(error))
        except UnknownCollection:
            continue  # removed at this moment
    own = [each for each in found if may_read(each.readers, LOCAL)]
    return Collections(collections=own, damaged=damaged)


def _check_readable(doors: Doors, collection: str) -> None:
    """Raises UnknownCollection, which names only what the caller may read."""
    try:
        if may_read(doors.knowledge.stats(collection).readers, LOCAL):
            return
    except UnknownCollection:
        pass  # the error names all collections
    known = tuple(each.collection for each in _readable(doors).collections)
    raise UnknownCollection(collection, known)
