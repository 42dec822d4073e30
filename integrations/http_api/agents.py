"""Agents over HTTP: which there are, and running one."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from integrations.http_api import refusals
from integrations.http_api.callers import Caller, Runs
from integrations.http_api.doors import Here, short
from integrations.http_api.shapes import EVENTS, JOB, AgentsShape
from integrations.http_api.streams import MEDIA_TYPE, Following, Waiting
from llmasos.errors import InvalidRequest
from llmasos.jobs import Submitted
from llmasos.keys import Scope
from llmasos.request import Attachment, Principal, Queue, conversation_of
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
    """On whose behalf, for callers that may act as others; otherwise the caller itself."""

    def message(self, agent: str, caller: Caller, key: str | None) -> Message:
        """The request to an agent. key: the idempotency key of the header.

        Raises InvalidRequest, or NotAllowed for a `reply_to` of a caller that may not deliver.
        """
        if self.reply_to:
            caller.require(Scope.DELIVER)
        if key and self.idempotency_key not in (None, key):
            raise InvalidRequest("The header Idempotency-Key is another than the body's field.")
        principal, named = caller.on_behalf_of(self.principal), self.conversation
        return Message(
            agent=agent,
            text=self.text,
            attachments=self.attachments,
            principal=principal,
            owner=caller.principal.id,
            conversation=conversation_of(principal, named) if named else None,
            reply_to=(self.reply_to,) if isinstance(self.reply_to, str) else self.reply_to,
            queue=self.queue,
            idempotency_key=once(caller, self.idempotency_key or key),
        )


def once(caller: Caller, key: str | None) -> str | None:
    """A caller's idempotency key, as none of another caller or another door can be."""
    return f"http:{caller.principal.id}:{key}" if key else None


@dataclass(frozen=True)
class How:
    """How a run's answer is wanted."""

    wait: float
    idempotency_key: str | None
    accept: str


def _how(
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, allow_inf_nan=False)] = 0,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> How:
    return How(wait, idempotency_key, accept)


Wanted = Annotated[How, Depends(_how)]


@router.get("/v1/agents", response_model=AgentsShape)
async def agents(doors: Here, caller: Runs) -> dict[str, list[dict[str, Any]]]:
    """The agents that the caller may use."""
    usable = [each for each in doors.catalog if doors.catalog.may_use(each.name, caller.principal)]
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


@router.post(
    "/v1/agents/{name}/runs",
    status_code=202,
    responses={
        202: JOB,
        200: {"description": "The finished or earlier job, or its events.", **JOB, **EVENTS},
        **refusals.described(404, 409),
    },
)
async def run(
    name: str, body: Run, doors: Here, caller: Runs, wanted: Wanted, following: Waiting
) -> Response:
    """Ask an agent; `auto` lets the router choose it.

    202 with the job, or 200 when an earlier run with the same key has made it. `wait` holds the
    answer for so many seconds: 200 with the finished job, 202 when it is not finished by then.
    With `Accept: text/event-stream` the job's events are streamed.
    """
    message = body.message(name, caller, wanted.idempotency_key)
    return await told(await short(doors.jobs.submit, message), wanted, following)


async def told(submitted: Submitted, wanted: How, following: Following) -> Response:
    """What became of a message, as it is wanted: the job, its end, or its events."""
    job = submitted.job
    place = f"/v1/jobs/{job.id}"
    if MEDIA_TYPE in wanted.accept:
        return await following.stream(job.id, location=place)
    if wanted.wait:
        job = await following.wait_for(job.id, wanted.wait)
        done = job.status.finished
    else:
        done = not submitted.new
    return JSONResponse(job.as_json(), 200 if done else 202, headers={"location": place})
