"""Webhooks over HTTP: `POST /hooks/NAME`."""

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from integrations.app import Doors
from integrations.http_api.doors import Here, short
from integrations.webhooks.hooks import Hook, Skipped, UnknownHook

router = APIRouter(tags=["webhooks"])


def _hooks(request: Request) -> dict[str, Hook]:
    hooks: dict[str, Hook] = request.app.state.hooks
    return hooks


Hooks = Annotated[dict[str, Hook], Depends(_hooks)]


@router.post("/hooks/{name}", status_code=202, responses={200: {}, 401: {}, 409: {}})
async def receive(name: str, request: Request, doors: Here, hooks: Hooks) -> JSONResponse:
    """Take a signed delivery.

    202 with the job that it made; 200 with the same job when it comes again (same key, same body);
    200 with `{"skipped": true, "reason"}` when the webhook's `when` is false for it. 401: it is not
    signed as it must be. 409: its key came before with another body.
    """
    if name not in hooks:
        raise UnknownHook(f"No webhook is named '{name[:80]}'.")
    body = await request.body()
    return await short(_take, doors, hooks[name], joined(request), body)


def joined(request: Request) -> dict[str, str]:
    """The headers, each name in lower case and once."""
    names = dict.fromkeys(request.headers.keys())
    return {name: ", ".join(request.headers.getlist(name)) for name in names}


def _take(doors: Doors, hook: Hook, headers: dict[str, str], body: bytes) -> JSONResponse:
    delivery = hook.read(headers, body, time.time())
    if isinstance(delivery, Skipped):
        return JSONResponse({"skipped": True, "reason": delivery.reason})
    submitted = doors.jobs.submit(delivery)
    place = {"location": f"/v1/jobs/{submitted.job.id}"}
    return JSONResponse(submitted.job.as_json(), 202 if submitted.new else 200, headers=place)
