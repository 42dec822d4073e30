"""Knowledge over HTTP: search collections, bring documents in, and see what is in them.

Callers see the collections that they may read; the others do not exist for them.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile

from agents.knowledge_sync import request_to
from integrations.app import Doors
from integrations.http_api import refusals
from integrations.http_api.agents import Wanted, once, told
from integrations.http_api.callers import Reads, Writes
from integrations.http_api.cursors import Cursor, Limit, cursor_of, place_of
from integrations.http_api.doors import Here, short, upload
from integrations.http_api.shapes import EVENTS, JOB
from integrations.http_api.streams import Waiting
from knowledge.readers import may_read
from knowledge.report import CollectionStats, DocumentInfo
from llmasos.errors import InvalidRequest, StoreDamaged, UnknownCollection, UnreadableDocument
from llmasos.jobs import Submitted
from llmasos.request import Principal
from llmasos.retrieval import Passage
from llmasos.upkeep import Report

router = APIRouter(prefix="/v1/knowledge", tags=["knowledge"], responses=refusals.described(404))


class Search(BaseModel):
    """What is looked for."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    query: str = Field(max_length=2_000)
    """Words or a question."""
    k: int = Field(default=5, ge=1, le=100)
    """How many passages."""
    filter: dict[str, Any] | None = None
    """What the documents must have, as in `{"path": "guide/*"}`."""
    explain: bool = False
    """Whether to say of each passage how it was found."""
    principal: Principal | None = None
    """With whose rights, for callers that may act as others; otherwise the caller's own."""


class Collections(BaseModel):
    """The collections there are for a caller."""

    collections: list[CollectionStats]
    damaged: list[str]
    """Why others cannot be opened, and how to mend them."""


@router.get("")
async def collections(doors: Here, caller: Reads) -> Collections:
    """The collections that the caller may read; a damaged one does not hide the others."""
    return await short(_readable, doors, caller.principal)


@router.post("/{collection}/search")
async def search(
    doors: Here, caller: Reads, collection: str, body: Search
) -> dict[str, list[dict[str, Any]]]:
    """The passages nearest to the query, best first."""

    def found() -> list[dict[str, Any]]:
        passages = doors.knowledge.search(
            body.query,
            collections=[collection],
            principal=caller.on_behalf_of(body.principal),
            k=body.k,
            filter=body.filter,
            explain=body.explain,
        )
        return [shown(each, explain=body.explain) for each in passages]

    return {"passages": await short(found)}


def shown(passage: Passage, *, explain: bool) -> dict[str, Any]:
    """A passage as callers see it. explain: with how it was found."""
    inside = {"collection"} if explain else {"collection", "similarity", "explanation"}
    if passage.url is None:
        inside.add("url")
    return passage.model_dump(mode="json", exclude=inside)


class Text(BaseModel):
    """A document as text."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    name: str = Field(min_length=1, max_length=300)
    """What it is called: a path whose ending says what it is, as in `faq/refunds.md`."""
    text: str = Field(min_length=1)
    """Its content."""


MOST_FILES = 100
"""Files in one upload."""
BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": Text.model_json_schema()},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    "file": {"type": "array", "items": {"type": "string", "format": "binary"}}
                },
                "required": ["file"],
            }
        },
    },
}


@router.post("/{collection}/documents", openapi_extra={"requestBody": BODY})
async def add(doors: Here, caller: Writes, collection: str, request: Request) -> Report:
    """Add documents: a form with one `file` or several, or JSON with a name and a text.

    Makes the collection. A document takes the place of one that was sent under the same name.
    """
    sent = await _sent(request)

    def added() -> Report:
        if collection in doors.knowledge.collections():
            check_readable(doors, caller.principal, collection)
        report = doors.knowledge.upload(collection, sent)
        if len(report.failed) == len(sent):
            raise UnreadableDocument(report.failed[0].source, report.failed[0].reason)
        return report

    return await upload(request, added)


class Documents(BaseModel):
    """A page of documents."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    documents: list[DocumentInfo]
    next: str | None
    """The cursor of the next page; null: this is the last."""


@router.get("/{collection}/documents")
async def documents(
    doors: Here, caller: Reads, collection: str, limit: Limit = 100, cursor: Cursor = None
) -> Documents:
    """A collection's documents, by source; those that the caller may read.

    `cursor` is `next` of the page before.
    """
    last = place_of(cursor) or ""

    def listed() -> Documents:
        found = [
            each for each in _visible(doors, caller.principal, collection) if each.source > last
        ]
        more = len(found) > limit
        page = found[:limit]
        return Documents(documents=page, next=cursor_of(page[-1].source) if more else None)

    return await short(listed)


@router.delete("/{collection}/documents")
async def remove(
    doors: Here,
    caller: Writes,
    collection: str,
    source: Annotated[list[str], Query(min_length=1)],
) -> Report:
    """Remove documents by source, or folders of them."""

    def removed() -> Report:
        check_readable(doors, caller.principal, collection)
        return doors.knowledge.remove(collection, source)

    return await short(removed)


@router.delete("/{collection}/documents/{source:path}")
async def remove_one(doors: Here, caller: Writes, collection: str, source: str) -> Report:
    """Remove one document, or a folder of them, by its source."""
    return await remove(doors, caller, collection, [source])


@router.post(
    "/{collection}/sync",
    status_code=202,
    responses={
        202: JOB,
        200: {"description": "The finished or earlier job, or its events.", **JOB, **EVENTS},
        **refusals.described(409),
    },
)
async def sync(
    doors: Here, caller: Writes, collection: str, wanted: Wanted, following: Waiting
) -> Response:
    """Have a job mirror the sources that the collection remembers; no others can be named.

    The job is the caller's own: a key with the scope `run` can follow and cancel it. `wait` and
    `Accept` are as for running an agent.
    """

    def submitted() -> Submitted:
        check_readable(doors, caller.principal, collection)
        if not doors.knowledge.sources(collection):
            raise InvalidRequest(
                f"Collection '{collection}' mirrors no source. Whoever keeps this installation "
                f"names one: llmasos knowledge sources {collection} --add SOURCE"
            )
        key = once(caller, wanted.idempotency_key)
        return doors.jobs.submit(request_to(collection, caller.principal, key))

    return await told(await short(submitted), wanted, following)


async def _sent(request: Request) -> dict[str, bytes]:
    """The documents in a body, by name. Raises InvalidRequest."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        try:
            sent = Text.model_validate_json(await request.body())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "body"
            raise InvalidRequest(f"{where}: {first['msg']}.") from None
        return {sent.name: sent.text.encode()}
    async with request.form(max_files=MOST_FILES, max_fields=0) as form:
        files = [each for _, each in form.multi_items() if isinstance(each, UploadFile)]
        if not files or not all(each.filename for each in files):
            raise InvalidRequest("The form holds no file: send each as a field `file` with a name.")
        return {str(each.filename): await each.read() for each in files}


def _readable(doors: Doors, principal: Principal) -> Collections:
    found, damaged = [], []
    for name in doors.knowledge.collections():
        try:
            found.append(doors.knowledge.stats(name))
        except StoreDamaged as error:
            damaged.append(str(error))
        except UnknownCollection:
            continue  # removed at this moment
    own = [each for each in found if may_read(each.readers, principal)]
    return Collections(collections=own, damaged=damaged)


def _visible(doors: Doors, principal: Principal, collection: str) -> list[DocumentInfo]:
    """A collection's documents that someone may read, by source. Raises UnknownCollection."""
    check_readable(doors, principal, collection)
    return [
        each
        for each in doors.knowledge.documents(collection)
        if each.readers is None or may_read(each.readers, principal)
    ]


def check_readable(doors: Doors, principal: Principal, collection: str) -> None:
    """Raises UnknownCollection, which names only what the caller may read."""
    try:
        if may_read(doors.knowledge.stats(collection).readers, principal):
            return
    except UnknownCollection:
        pass  # the error names all collections
    known = tuple(each.collection for each in _readable(doors, principal).collections)
    raise UnknownCollection(collection, known)
