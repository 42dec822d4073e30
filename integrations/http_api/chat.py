"""OpenAI's routes: an agent is a model, so that OpenAI's clients and chat programs can use it.

A chat becomes a job like any other request; its earlier messages are the job's own history and are
mixed with no conversation that is kept here. A caller that leaves cancels the job. `chat_form.py`
has the form. Start reading at `complete`.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

import anyio
import structlog
from fastapi import APIRouter, Header, Response
from fastapi.responses import JSONResponse

from integrations.http_api import refusals
from integrations.http_api.agents import once
from integrations.http_api.callers import Caller, Runs
from integrations.http_api.chat_form import Chat, Chunks, Said, completion, error_line, sources
from integrations.http_api.doors import Here, short
from integrations.http_api.shapes import EVENTS, ChatShape, ModelShape, ModelsShape
from integrations.http_api.streams import HEARTBEAT_LINE, Following, Waiting, event_stream
from llmasos.errors import LLMasOSError, UnknownAgent, WrongJobState
from llmasos.events import Failure, Reply, Restarted, Token
from llmasos.jobs import Job, Submitted
from llmasos.request import AUTO, Principal, Request

log = structlog.get_logger()

FINAL = {"x-should-retry": "false"}
"""Tells OpenAI's clients that asking again is not worth it: what was worth it has been done."""

router = APIRouter(
    tags=["openai"],
    responses=refusals.described_as_openai_says(400, 401, 403, 404, 408, 413, 422, 429, 503),
)


@router.post(
    "/v1/chat/completions",
    responses={
        200: {"description": "The answer.", "model": ChatShape, **EVENTS},
        **refusals.described_as_openai_says(409, 500, 504),
    },
)
async def complete(
    body: Chat,
    doors: Here,
    caller: Runs,
    following: Waiting,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> Response:
    """Have an agent answer the last message of a conversation."""
    submitted = await short(doors.jobs.submit, _request(body, caller, idempotency_key))
    place = {"location": f"/v1/jobs/{submitted.job.id}"}
    if body.stream:
        return event_stream(_streamed(body, following, submitted), place)
    try:
        job = await following.wait_for(submitted.job.id)
    finally:
        await _cancel_if_left(following, submitted)
    if job.reply is None:
        failure = job.error or Failure(type="Stopping", message="The server stops. Ask again.")
        status = refusals.status_named(failure.type)
        response = refusals.problem(following.request.scope, status, failure.type, failure.message)
        response.headers.update({**place, **(FINAL if job.status.finished else {})})
        return response
    return JSONResponse(completion(job, job.reply), headers=place)


def _request(body: Chat, caller: Caller, key: str | None) -> Request:
    history, text = body.conversation()
    named = Principal(id=body.user) if body.user else None
    return Request(
        agent=body.model,
        text=text,
        history=history,
        principal=caller.on_behalf_of(named),
        owner=caller.principal.id,
        idempotency_key=once(caller, key),
    )


async def _streamed(body: Chat, following: Following, submitted: Submitted) -> AsyncIterator[str]:
    """The answer as it comes; ends with the reply that is stored, or with an error."""
    usage = body.stream_options is not None and body.stream_options.include_usage
    chunks, said = Chunks(submitted.job, body.model, with_usage=usage), Said()
    yield chunks.piece({"role": "assistant", "content": ""})
    try:
        async with aclosing(following.lively(submitted.job.id)) as events:
            async for each in events:
                if each is None:
                    yield HEARTBEAT_LINE
                    continue
                match each.event:
                    case Token(text=text):
                        if more := said.more(text):
                            yield chunks.piece({"content": more})
                    case Restarted():
                        said.restart()
                    case Reply() as reply if each.job:
                        rest = said.rest(reply.text)
                        if rest is None:
                            yield error_line(_changed(each.job))
                            return
                        if last := rest + sources(reply.citations):
                            yield chunks.piece({"content": last})
                        for line in chunks.end(each.job, reply):
                            yield line
                    case Failure() as failure:
                        status = refusals.status_named(failure.type)
                        yield error_line(
                            refusals.as_openai_says(status, failure.type, failure.message)
                        )
    except LLMasOSError as error:
        log.warning("http.stream_broke_off", error_type=type(error).__name__)
        kind = type(error).__name__
        yield error_line(refusals.as_openai_says(503, kind, error.message()))
    finally:
        await _cancel_if_left(following, submitted)


def _changed(job: Job) -> dict[str, Any]:
    """Another worker took the job over and said something else."""
    words = (
        "The answer was begun again and has become another one than the beginning that was sent. "
        f"The whole is at /v1/jobs/{job.id}."
    )
    return refusals.as_openai_says(500, "Restarted", words)


async def _cancel_if_left(following: Following, submitted: Submitted) -> None:
    """Stop a job that nobody waits for any more, unless an earlier request began it."""
    if not submitted.new or following.followers.stopping.is_set():
        return
    jobs = following.doors.jobs
    with anyio.CancelScope(shield=True):
        try:
            job = await short(jobs.find, submitted.job.id)
            if not job.status.finished:
                await short(jobs.cancel, job.id)
        except WrongJobState:
            return  # it was finished at this moment
        except LLMasOSError as error:  # nobody is left to be told
            log.warning("http.not_cancelled", job=submitted.job.id, error=str(error))


@router.get("/v1/models", response_model=ModelsShape)
async def models(doors: Here, caller: Runs) -> dict[str, Any]:
    """The agents that the caller may use, as models; `auto` chooses one of them."""
    may_use, who = doors.catalog.may_use, caller.principal
    names = [AUTO, *(name for name in doors.catalog.names() if may_use(name, who))]
    return {"object": "list", "data": [_model(name) for name in names]}


@router.get("/v1/models/{model}", response_model=ModelShape)
async def model(model: str, doors: Here, caller: Runs) -> dict[str, Any]:
    """One of them."""
    known = tuple(doors.catalog.names())
    if model != AUTO and (model not in known or not doors.catalog.may_use(model, caller.principal)):
        raise UnknownAgent(model[:80], known)
    return _model(model)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "llmasos"}
