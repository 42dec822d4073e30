"""Jobs over HTTP: find, list, follow, cancel, approve, retry."""

import re
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Path, Response
from fastapi.responses import JSONResponse

from integrations.http_api import refusals
from integrations.http_api.callers import Anyone, Runs
from integrations.http_api.cursors import Cursor, Limit, cursor_of, place_of
from integrations.http_api.doors import Here, short
from integrations.http_api.shapes import EVENTS, JobShape, JobsShape
from integrations.http_api.streams import Waiting
from llmasos.errors import InvalidRequest, UnknownAgent, UnknownArtifact, UnknownJob
from llmasos.jobs import Job, JobStatus
from llmasos.keys import Scope
from llmasos.request import AUTO

ID = re.compile(r"[0-9a-f]{1,32}")
"""What a job's id can be."""

router = APIRouter(tags=["jobs"])


@dataclass(frozen=True)
class Page:
    """Which jobs are wanted, and how many of them."""

    status: JobStatus | None = None
    agent: str | None = None
    limit: Limit = 50
    cursor: Cursor = None


@router.get("/v1/jobs", response_model=JobsShape, responses=refusals.described(404))
async def list_jobs(
    doors: Here, caller: Anyone, page: Annotated[Page, Depends()]
) -> dict[str, Any]:
    """The latest jobs, newest first: the caller's own, or all that it may see.

    `cursor` is `next` of the page before.
    """
    if page.agent is not None and page.agent not in (AUTO, *doors.catalog.names()):
        raise UnknownAgent(page.agent, tuple(doors.catalog.names()))
    last = place_of(page.cursor)
    if last is not None and not ID.fullmatch(last):
        raise InvalidRequest("The cursor is none of this list's. Take `next` of the page before.")
    owner = None if caller.may(Scope.JOBS_READ) else caller.principal.id
    found = await short(doors.jobs.list, page.status, page.agent, page.limit + 1, last, owner)
    shown = found[: page.limit]
    more = len(found) > page.limit
    return {
        "jobs": [job.as_json() for job in shown],
        "next": cursor_of(shown[-1].id) if more else None,
    }


def _job_id(job_id: str) -> str:
    """An id that a job can have; PostgreSQL would stumble over others."""
    if not ID.fullmatch(job_id):
        raise UnknownJob(job_id[:60])
    return job_id


JobId = Annotated[str, Depends(_job_id)]


async def _visible(doors: Here, caller: Anyone, job_id: JobId) -> Job:
    """The job, if the caller may see it."""
    return caller.check_job(await short(doors.jobs.find, job_id), Scope.JOBS_READ)


Visible = Annotated[Job, Depends(_visible)]


async def _own(job: Visible, caller: Anyone) -> Job:
    """The job, if the caller may change what becomes of it."""
    if job.owner != caller.principal.id:
        caller.require(Scope.JOBS_WRITE)
    return job


Own = Annotated[Job, Depends(_own)]


@router.get("/v1/jobs/{job_id}", response_model=JobShape, responses=refusals.described(404))
async def find(job: Visible) -> Response:
    """One job."""
    return JSONResponse(job.as_json())


@router.get(
    "/v1/jobs/{job_id}/events",
    response_class=Response,
    responses={
        200: {"description": "The events.", **EVENTS},
        204: {"description": "There is nothing after the event that the reader has."},
        **refusals.described(404),
    },
)
async def events(
    following: Waiting,
    job: Visible,
    last_event_id: Annotated[str, Header(max_length=60)] = "",
) -> Response:
    """The job's events as server-sent events; the last one is `reply` or `failure`.

    After `restarted`, what came before it is void. `Last-Event-ID` goes on after that event; 204
    when it was the last one.
    """
    return await following.stream(job.id, after=last_event_id)


@router.get(
    "/v1/jobs/{job_id}/artifacts/{number}",
    response_class=Response,
    responses={
        200: {
            "description": "The file.",
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        },
        **refusals.described(404),
    },
)
async def artifact(job: Visible, number: Annotated[int, Path(ge=1, le=1000)]) -> Response:
    """A file of the job's answer, counted from 1; to be saved, never shown as a page of ours."""
    files = job.reply.artifacts if job.reply else ()
    found = files[number - 1] if number <= len(files) else None
    if found is None or found.content is None:
        raise UnknownArtifact(job.id, number, len(files))
    name = quote(found.file_name, safe="")
    return Response(
        found.content,
        media_type="application/octet-stream",
        headers={
            "content-disposition": f"attachment; filename*=UTF-8''{name}",
            "x-content-type-options": "nosniff",
        },
    )


@router.post(
    "/v1/jobs/{job_id}/cancel", response_model=JobShape, responses=refusals.described(404, 409)
)
async def cancel(doors: Here, job: Own) -> Response:
    """Stop a job: one that waits at once, one that runs as soon as its worker sees it."""
    return JSONResponse((await short(doors.jobs.cancel, job.id)).as_json())


@router.post(
    "/v1/jobs/{job_id}/retry",
    status_code=202,
    response_model=JobShape,
    responses=refusals.described(404, 409),
)
async def retry(doors: Here, job: Own) -> Response:
    """Run a failed or cancelled job again."""
    return JSONResponse((await short(doors.jobs.retry, job.id)).as_json(), 202)


@router.post(
    "/v1/jobs/{job_id}/approve",
    status_code=202,
    response_model=JobShape,
    responses=refusals.described(404, 409),
)
async def approve(doors: Here, caller: Runs, job_id: JobId) -> Response:
    """Let a job do what its `approval` says."""
    decided = await short(doors.jobs.decide, job_id, True, caller.principal)
    return JSONResponse(decided.as_json(), 202)


@router.post(
    "/v1/jobs/{job_id}/decline",
    status_code=202,
    response_model=JobShape,
    responses=refusals.described(404, 409),
)
async def decline(doors: Here, caller: Runs, job_id: JobId) -> Response:
    """Do not let a job do what its `approval` says."""
    decided = await short(doors.jobs.decide, job_id, False, caller.principal)
    return JSONResponse(decided.as_json(), 202)
