"""Refusals: every error as one form of answer, `{"error": {"type", "message"}}`, and its status.

The error tree's words are for people and go out as they are; what nobody foresaw says nothing of
its inside. Start reading at `status_of`.
"""

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from integrations.webhooks.hooks import MalformedBody, UnknownHook
from integrations.webhooks.source import Refused
from llmasos.errors import (
    DownloadFailed,
    EngineError,
    IdempotencyConflict,
    InvalidRequest,
    LLMasOSError,
    NotAllowed,
    StateError,
    UnknownAgent,
    UnknownCollection,
    UnknownJob,
    UnknownModel,
    UnreadableDocument,
    UsageError,
    WrongJobState,
)

log = structlog.get_logger()

STATUSES: tuple[tuple[type[LLMasOSError], int], ...] = (
    (Refused, 401),
    (NotAllowed, 403),
    (UnknownAgent, 404),
    (UnknownCollection, 404),
    (UnknownHook, 404),
    (UnknownJob, 404),
    (UnknownModel, 404),
    (IdempotencyConflict, 409),
    (WrongJobState, 409),
    (MalformedBody, 400),
    (InvalidRequest, 422),
    (UnreadableDocument, 422),
    (UsageError, 400),
    (StateError, 503),
    (EngineError, 503),
    (DownloadFailed, 503),
)
"""The status of each kind of error, the most special first; any other is a 500."""

DESCRIPTION: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "content": {"application/json": {"schema": {
        "type": "object", "required": ["error"], "properties": {"error": {
            "type": "object", "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        }},
    }}}}
    for status, words in (
        (400, "The request is malformed."),
        (403, "The caller may not do that."),
        (404, "There is nothing with that name."),
        (409, "It does not fit what is there."),
        (413, "The body is too large."),
        (422, "The request has a wrong value."),
        (503, "Something that this stands on does not answer."),
    )
}  # fmt: skip
"""The refusals that every route may give, for `/docs`."""


def answer(status: int, kind: str, message: str) -> JSONResponse:
    """An error as a response."""
    return JSONResponse({"error": {"type": kind, "message": message}}, status)


def status_of(error: LLMasOSError) -> int:
    """The HTTP status for an error."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def install(app: FastAPI) -> None:
    """Have an application answer errors in our form."""
    app.add_exception_handler(LLMasOSError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, LLMasOSError)
    status = status_of(error)
    if status >= 500:
        log.warning("http.failed", error_type=type(error).__name__, status=status)
    return answer(status, type(error).__name__, error.message())


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """A body or parameter of the wrong form. The value given is not repeated."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return answer(400, "MalformedBody", f"The body is not JSON: {first['ctx']['error']}.")
    where = ".".join(str(part) for part in first["loc"])
    return answer(422, "InvalidRequest", f"{where}: {first['msg']}.")


async def _http(_request: Request, error: Exception) -> JSONResponse:
    """What the framework itself refuses: no such route, no such method, an unreadable body."""
    assert isinstance(error, HTTPException)
    response = answer(
        error.status_code,
        HTTPStatus(error.status_code).phrase.title().replace(" ", ""),
        str(error.detail),
    )
    response.headers.update(error.headers or {})
    return response
