"""Health over HTTP: alive, ready, and figures for Prometheus.

Whoever watches over the system reads the first two without a key. Why a part does not answer names
addresses and paths: that is for this machine and for keys with the scope `metrics`.
"""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from integrations.http_api import refusals
from integrations.http_api.callers import Callers, Measures, why_not_local
from integrations.http_api.doors import Here, short
from integrations.http_api.metrics import Metrics
from integrations.http_api.refusals import problem
from llmasos.errors import LLMasOSError
from llmasos.keys import Scope

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether this process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses=refusals.described(503))
async def readyz(request: Request, doors: Here) -> Response:
    """Whether broker, worker, engine and state all answer; names what doesn't.

    `warnings` says what answers and yet is set up so that some jobs would wait for ever.
    """
    missing = {name: why for name, why in (await short(doors.checks)).items() if why is not None}
    if not missing:
        return JSONResponse({"status": "ready", "warnings": await short(doors.warnings)})
    if not await short(_may_know_why, request):
        missing = dict.fromkeys(missing, "does not answer")
    words = "; ".join(f"{name}: {why}" for name, why in missing.items())
    return problem(request.scope, 503, "NotReady", words, missing=missing)


def _may_know_why(request: Request) -> bool:
    """Whether the caller may read the reasons; told without the database for this machine."""
    peer = request.client.host if request.client else ""
    if why_not_local(request.headers, peer) is None:
        return True
    callers: Callers = request.app.state.callers
    try:
        return callers.find(request.headers, peer).may(Scope.METRICS)
    except LLMasOSError:  # no key that works, or no database to look it up in
        return False


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request, _: Measures) -> Response:
    """Figures for Prometheus."""
    figures: Metrics = request.app.state.metrics
    return Response(await short(figures.render), media_type=CONTENT_TYPE_LATEST)
