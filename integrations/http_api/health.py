"""Health over HTTP: alive, ready, and figures for Prometheus."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from integrations.http_api.doors import Here, short
from integrations.http_api.metrics import Metrics
from integrations.http_api.refusals import problem

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether this process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {}})
async def readyz(request: Request, doors: Here) -> JSONResponse:
    """Whether broker, worker, engine and state all answer; names what doesn't.

    `warnings` says what answers and yet is set up so that some jobs would wait for ever.
    """
    missing = {name: why for name, why in (await short(doors.checks)).items() if why is not None}
    if not missing:
        return JSONResponse({"status": "ready", "warnings": await short(doors.warnings)})
    words = "; ".join(f"{name}: {why}" for name, why in missing.items())
    return problem(request.scope, 503, "NotReady", words, missing=missing)


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    figures: Metrics = request.app.state.metrics
    return Response(await short(figures.render), media_type=CONTENT_TYPE_LATEST)
