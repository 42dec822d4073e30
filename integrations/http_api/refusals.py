"""Refusals: every error as a problem (RFC 9457), and its status.

The error tree's words are for people and go out as they are; what nobody foresaw says nothing of
its inside. What OpenAI's clients call answers in OpenAI's own form. Start reading at `problem`.
"""

import inspect
import math
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.types import Scope

from integrations.webhooks.hooks import MalformedBody, UnknownHook
from integrations.webhooks.source import Refused
from llmasos import errors
from llmasos.errors import (
    AlreadyDecided,
    BudgetSpent,
    CollectionBusy,
    DeadlineExceeded,
    DownloadFailed,
    EngineError,
    IdempotencyConflict,
    InvalidRequest,
    JobCancelled,
    KeyRefused,
    LLMasOSError,
    NotAllowed,
    RateExceeded,
    StateError,
    UnknownAgent,
    UnknownArtifact,
    UnknownCollection,
    UnknownJob,
    UnknownKey,
    UnknownModel,
    UnknownVersion,
    UnreadableDocument,
    UsageError,
    WrongJobState,
)

log = structlog.get_logger()

STATUSES: tuple[tuple[type[LLMasOSError], int], ...] = (
    (Refused, 401),
    (KeyRefused, 401),
    (RateExceeded, 429),
    (NotAllowed, 403),
    (UnknownAgent, 404),
    (UnknownArtifact, 404),
    (UnknownCollection, 404),
    (UnknownHook, 404),
    (UnknownJob, 404),
    (UnknownKey, 404),
    (UnknownModel, 404),
    (UnknownVersion, 404),
    (IdempotencyConflict, 409),
    (JobCancelled, 409),
    (DeadlineExceeded, 504),
    (WrongJobState, 409),
    (AlreadyDecided, 409),
    (BudgetSpent, 429),
    (MalformedBody, 400),
    (InvalidRequest, 422),
    (UnreadableDocument, 422),
    (UsageError, 400),
    (StateError, 503),
    (EngineError, 503),
    (CollectionBusy, 503),
    (DownloadFailed, 503),
)
"""The status of each kind of error, the most special first; any other is a 500."""

KINDS = {
    name: each
    for name, each in {**vars(errors), **{kind.__name__: kind for kind, _ in STATUSES}}.items()
    if isinstance(each, type) and issubclass(each, LLMasOSError)
}
"""The kinds of error that have a name of their own."""

PREFIX = "urn:llmasos:error:"
"""What a problem's `type` begins with; a name of the error tree follows."""
MEDIA_TYPE = "application/problem+json"
OPENAI = ("/v1/chat/", "/v1/models")
"""Routes whose callers know OpenAI's form of an error alone."""


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    """Its kind: `urn:llmasos:error:` and a name of the error tree."""
    title: str
    """The kind in words, the same each time."""
    status: int
    """The answer's status."""
    detail: str
    """What happened, to what, and what to do next."""
    instance: str
    """This one request: `urn:llmasos:request:` and its id, which the log names, too."""


DESCRIPTION: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}}
    for status, words in (
        (400, "The request is malformed."),
        (401, "The caller showed no API key, or one that does not work."),
        (403, "The caller may not do that."),
        (408, "The body did not arrive in time."),
        (404, "There is nothing with that name."),
        (409, "It does not fit what is there."),
        (413, "The body is too large."),
        (422, "The request has a wrong value."),
        (429, "The caller sent too many requests, or has used up its budget."),
        (500, "Something unforeseen, or an agent broke down."),
        (503, "Something that this stands on does not answer."),
        (504, "The job took longer than it may."),
    )
}
"""The refusals that routes may give, for `/docs`."""


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These refusals, for a route's description."""
    return {status: DESCRIPTION[status] for status in statuses}


def described_as_openai_says(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These refusals in OpenAI's form, for a route's description."""
    error = {"type": "object", "required": ["message", "type", "param", "code"]}
    schema = {"type": "object", "required": ["error"], "properties": {"error": error}}
    return {
        status: {**DESCRIPTION[status], "content": {"application/json": {"schema": schema}}}
        for status in statuses
    }


def problem(scope: Scope, status: int, kind: str, detail: str, **more: Any) -> JSONResponse:
    """An error as a response to a request.

    kind: a name of the error tree, or what HTTP calls it. more: members that this kind has besides.
    """
    if scope["path"].startswith(OPENAI):
        return JSONResponse({"error": as_openai_says(status, kind, detail)}, status)
    request_id = scope.get("state", {}).get("request_id", "")
    said = Problem(
        type=PREFIX + kind,
        title=_title(kind, status),
        status=status,
        detail=detail,
        instance=f"urn:llmasos:request:{request_id}",
    )
    return JSONResponse({**said.model_dump(), **more}, status, media_type=MEDIA_TYPE)


def refusal(scope: Scope, error: LLMasOSError) -> JSONResponse:
    """An error of ours as a response to a request."""
    status = status_of(type(error))
    if status >= 500:
        log.warning("http.failed", error_type=type(error).__name__, status=status)
    response = problem(scope, status, type(error).__name__, error.message())
    if isinstance(error, KeyRefused):
        response.headers["www-authenticate"] = 'Bearer realm="llmasos"'
    if isinstance(error, RateExceeded):
        response.headers["retry-after"] = str(math.ceil(error.seconds))
        response.headers["ratelimit-limit"] = str(error.per_minute)
        response.headers["ratelimit-remaining"] = "0"
        response.headers["ratelimit-reset"] = response.headers["retry-after"]
    return response


def status_of(kind: type[LLMasOSError]) -> int:
    """The HTTP status for a kind of error."""
    return next((status for each, status in STATUSES if issubclass(kind, each)), 500)


def status_named(kind: str) -> int:
    """The HTTP status for a kind of error by its name, as jobs keep it; 500 for one of others."""
    return status_of(KINDS.get(kind, LLMasOSError))


def install(app: FastAPI) -> None:
    """Have an application answer errors in our form."""
    app.add_exception_handler(LLMasOSError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, LLMasOSError)
    return refusal(request.scope, error)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """A body or parameter of the wrong form. The value given is not repeated."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        words = f"The body is not JSON: {first['ctx']['error']}."
        return problem(request.scope, 400, "MalformedBody", words)
    if first["type"] == "model_attributes_type" and first["loc"] == ("body",):
        words = "The body must be a JSON object, sent as Content-Type: application/json."
        return problem(request.scope, 422, "InvalidRequest", words)
    where = ".".join(str(part) for part in first["loc"])
    return problem(request.scope, 422, "InvalidRequest", f"{where}: {first['msg']}.")


async def _http(request: Request, error: Exception) -> JSONResponse:
    """What the framework itself refuses: no such route, no such method, an unreadable body."""
    assert isinstance(error, HTTPException)
    kind = HTTPStatus(error.status_code).phrase.title().replace(" ", "")
    words, (method, path) = str(error.detail), (request.method, request.url.path[:200])
    if error.status_code == HTTPStatus.NOT_FOUND:
        words = f"There is nothing at {path}. /docs has what there is."
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        takes = (error.headers or {}).get("Allow", "another method")
        words = f"{path} does not take {method}, but {takes}. /docs has what there is."
    response = problem(request.scope, error.status_code, kind, words)
    response.headers.update(error.headers or {})
    return response


def _title(kind: str, status: int) -> str:
    words = KINDS[kind].__doc__ if kind in KINDS else None
    return inspect.cleandoc(words).splitlines()[0] if words else HTTPStatus(status).phrase


def as_openai_says(status: int, kind: str, detail: str) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    other = "invalid_request_error" if status < 500 else "server_error"
    return {
        "message": detail,
        "type": kinds.get(status, other),
        "param": None,
        "code": "model_not_found" if kind == UnknownAgent.__name__ else kind,
    }
