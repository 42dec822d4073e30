"""Jobs over HTTP: find, list, follow, cancel, approve, retry."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response

from integrations.http_api.doors import Here, Waiting, short
from integrations.http_api.streams import stream
from llmasos.errors import UnknownAgent, UnknownJob
from llmasos.jobs import JobStatus
from llmasos.request import AUTO, LOCAL

MOST = 200

router = APIRouter(tags=["jobs"])


def _job_id(job_id: str) -> str:
    """An id that a job can have; PostgreSQL would stumble over others."""
    if not re.fullmatch(r"[0-9a-f]{1,32}", job_id):
        raise UnknownJob(job_id[:60])
    return job_id


JobId = Annotated[str, Depends(_job_id)]


@router.get("/v1/jobs")
async def list_jobs(
    doors: Here,
    status: JobStatus | None = None,
    agent: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
    before: str | None = None,
) -> dict[str, Any]:
    """The latest jobs, newest first. `before`: the job after which the page goes on."""
    if agent is not None and agent not in (AUTO, *doors.catalog.names()):
        raise UnknownAgent(agent, tuple(doors.catalog.names()))
    last = _job_id(before) if before is not None else None
    found = await short(doors.jobs.list, status, agent, limit, last)
    return {
        "jobs": [job.as_json() for job in found],
        "next": found[-1].id if len(found) == limit else None,
    }


@router.get("/v1/jobs/{job_id}")
async def find(doors: Here, job_id: JobId) -> dict[str, Any]:
    """One job."""
    return (await short(doors.jobs.find, job_id)).as_json()


@router.get("/v1/jobs/{job_id}/events", response_class=Response)
async def events(
    doors: Here,
    followers: Waiting,
    job_id: JobId,
    last_event_id: Annotated[str, Header(max_length=60)] = "",
) -> Response:
    """The job's events as server-sent events; the last one is `reply` or `failure`.

    After `restarted`, what came before it is void. `Last-Event-ID` goes on after that event; 204
    when it was the last one.
    """
    return await stream(doors, followers, job_id, after=last_event_id)


@router.post("/v1/jobs/{job_id}/cancel")
async def cancel(doors: Here, job_id: JobId) -> dict[str, Any]:
    """Stop a job: one that waits at once, one that runs as soon as its worker sees it."""
    return (await short(doors.jobs.cancel, job_id)).as_json()


@router.post("/v1/jobs/{job_id}/retry", status_code=202)
async def retry(doors: Here, job_id: JobId) -> dict[str, Any]:
    """Run a failed or cancelled job again."""
    return (await short(doors.jobs.retry, job_id)).as_json()


@router.post("/v1/jobs/{job_id}/approve", status_code=202)
async def approve(doors: Here, job_id: JobId) -> dict[str, Any]:
    """Let a job do what its `approval` says."""
    return (await short(doors.jobs.decide, job_id, True, LOCAL)).as_json()


@router.post("/v1/jobs/{job_id}/decline", status_code=202)
async def decline(doors: Here, job_id: JobId) -> dict[str, Any]:
    """Do not let a job do what its `approval` says."""
    return (await short(doors.jobs.decide, job_id, False, LOCAL)).as_json()
