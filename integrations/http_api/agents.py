"""Agents over HTTP: which there are, and running one."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from integrations.http_api.doors import Here, Waiting, short
from integrations.http_api.streams import MEDIA_TYPE, stream, wait_for
from llmasos.request import LOCAL, Attachment, Principal, Queue, conversation_of
from llmasos.request import Request as Message
from llmasos.tools import as_tool

LONGEST_WAIT = 300

router = APIRouter(tags=["agents"])


class Run(BaseModel):
    """What an agent is asked."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    text: str
    """The message."""
    conversation: str | None = Field(default=None, min_length=1, max_length=200)
    """Runs of one conversation share its history and are answered in order."""
    attachments: tuple[Attachment, ...] = ()
    """Files, as text."""
    reply_to: str | tuple[str, ...] = ()
    """Where else the answer goes: `slack:C0123` or a URL."""
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=200)
    """A second run with the same key and content is the same job."""
    queue: Queue = Queue.INTERACTIVE
    """`interactive`, or `batch` if nobody waits for it."""
    principal: Principal | None = None
    """On whose behalf; the caller itself when it is left out."""

    def message(self, agent: str) -> Message:
        """The request to an agent."""
        principal, named = self.principal or LOCAL, self.conversation
        return Message(
            agent=agent,
            text=self.text,
            attachments=self.attachments,
            principal=principal,
            conversation=conversation_of(principal, named) if named else None,
            reply_to=(self.reply_to,) if isinstance(self.reply_to, str) else self.reply_to,
            queue=self.queue,
            # No other door's keys can be meant: theirs begin with another word.
            idempotency_key=f"http:{self.idempotency_key}" if self.idempotency_key else None,
        )


@router.get("/v1/agents")
async def agents(doors: Here) -> dict[str, list[dict[str, Any]]]:
    """The agents that the caller may use."""
    usable = [each for each in doors.catalog if doors.catalog.may_use(each.name, LOCAL)]
    return {
        "agents": [
            {
                "name": each.name,
                "description": each.description,
                "knowledge": list(each.knowledge),
                "tools": [as_tool(tool).name for tool in each.tools],
                "examples": list(each.examples),
            }
            for each in usable
        ]
    }


@router.post("/v1/agents/{name}/runs", status_code=202, responses={200: {}, 403: {}, 409: {}})
async def run(
    name: str,
    body: Run,
    request: Request,
    doors: Here,
    followers: Waiting,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, allow_inf_nan=False)] = 0,
) -> Response:
    """Ask an agent; `auto` lets the router choose it.

    202 with the job, or 200 when an earlier run with the same key has made it. `wait` holds the
    answer for so many seconds: 200 with the finished job, 202 when it is not finished by then.
    With `Accept: text/event-stream` the job's events are streamed.
    """
    submitted = await short(doors.jobs.submit, body.message(name))
    job = submitted.job
    place = f"/v1/jobs/{job.id}"
    if MEDIA_TYPE in request.headers.get("accept", ""):
        return await stream(doors, followers, job.id, location=place)
    if wait:
        job = await wait_for(doors, followers, job.id, wait, request)
        done = job.status.finished
    else:
        done = not submitted.new
    return JSONResponse(job.as_json(), 200 if done else 202, headers={"location": place})
