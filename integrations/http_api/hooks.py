"""Webhooks over HTTP: `POST /hooks/NAME`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from integrations.http_api import refusals
from integrations.http_api.doors import short
from integrations.http_api.shapes import JOB, JobShape, SkippedShape
from integrations.webhooks.hooks import Skipped
from integrations.webhooks.intake import Intake

router = APIRouter(tags=["webhooks"])


def _intake(request: Request) -> Intake:
    intake: Intake = request.app.state.intake
    return intake


Deliveries = Annotated[Intake, Depends(_intake)]


PAYLOAD = {"title": "Payload", "description": "What the sender has to tell, as its source has it."}


@router.post(
    "/hooks/{name}",
    status_code=202,
    responses={
        202: JOB,
        200: {
            "model": JobShape | SkippedShape,
            "description": "The job that it made before, or why it made none.",
        },
        **refusals.described(404, 409),
    },
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": PAYLOAD}}}
    },
)
async def receive(name: str, request: Request, intake: Deliveries) -> JSONResponse:
    """Take a signed delivery.

    202 with the job that it made; 200 with the same job when it comes again (same key, same body);
    200 with `{"skipped": true, "reason"}` when the webhook's `when` is false for it. 401: it is not
    signed as it must be. 409: its key came before with another body.
    """
    body = await request.body()
    taken = await short(intake.take, name, joined(request), body)
    if isinstance(taken, Skipped):
        return JSONResponse({"skipped": True, "reason": taken.reason})
    place = {"location": f"/v1/jobs/{taken.job.id}"}
    return JSONResponse(taken.job.as_json(), 202 if taken.new else 200, headers=place)


def joined(request: Request) -> dict[str, str]:
    """The headers, each name in lower case and once."""
    names = dict.fromkeys(request.headers.keys())
    return {name: ", ".join(request.headers.getlist(name)) for name in names}
