"""TGI's routes: `/generate`, its stream, `/tokenize`, `/invocations`, and the model's card."""

import asyncio
from importlib.metadata import version
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from llmasos.engine import text_answers as answers
from llmasos.engine.edge import Forwarded, RunEvents, body_of, json_of, unless_gone
from llmasos.engine.refusals import Malformed
from llmasos.engine.schemas import GenerateRequest
from llmasos.engine.texts import Run, Texts

GenerateBody = Annotated[GenerateRequest, Depends(body_of(GenerateRequest))]
GONE = 499
"""The status of an answer that nobody reads any more."""


def text_routes(texts: Texts, model_id: str, revision: str | None, permits: int) -> APIRouter:
    """The routes over a model. permits: requests held at once, for `/info`."""
    routes = APIRouter()
    limits = texts.limits

    @routes.get("/info")
    async def info() -> dict[str, Any]:
        """Tell the model and its limits."""
        return {
            "model_id": model_id,
            "model_sha": revision,
            "model_pipeline_tag": "text-generation",
            "max_concurrent_requests": permits,
            "max_best_of": limits.best_of,
            "max_stop_sequences": limits.stops,
            "max_input_tokens": limits.input_tokens,
            "max_total_tokens": limits.total_tokens,
            "validation_workers": 1,
            "max_client_batch_size": limits.batch,
            "router": "llmasos-engine",
            "version": version("llmasos"),
            "sha": None,
            "docker_label": None,
        }

    @routes.get("/v1/models")
    async def models() -> dict[str, Any]:
        """Tell the model, as OpenAI's API does."""
        card = {"id": model_id, "object": "model", "created": 0, "owned_by": model_id}
        return {"object": "list", "data": [card]}

    @routes.post("/")
    async def either(request: Request, body: GenerateBody) -> Response:
        """Generate, streamed or whole as the body says."""
        if body.stream:
            return await _streamed(texts, body)
        return await _whole(texts, request, body, wrapped=True)

    @routes.post("/generate")
    async def generate(request: Request, body: GenerateBody) -> Response:
        """Generate a text and answer when it is whole."""
        return await _whole(texts, request, body, wrapped=False)

    @routes.post("/generate_stream")
    async def generate_stream(body: GenerateBody) -> Response:
        """Generate a text, an event for each token."""
        return await _streamed(texts, body)

    @routes.post("/tokenize")
    async def tokenize(body: GenerateBody) -> list[dict[str, Any]]:
        """Split a text into the model's tokens."""
        return [answers.simple(token) for token in await texts.model.tokenize(body.inputs)]

    @routes.post("/invocations")
    async def invocations(request: Request) -> Response:
        """Answer whatever SageMaker's single route is asked: a prompt, a chat, a completion."""
        raw, plain = await json_of(request)
        return Forwarded(request.app, _invoked(plain), raw)

    return routes


def _invoked(body: Any) -> str:
    """The route that a body is for. Raises Malformed."""
    fields = body if isinstance(body, dict) else {}
    if "inputs" in fields:
        return "/generate_stream" if fields.get("stream") is True else "/generate"
    if "messages" in fields:
        return "/v1/chat/completions"
    if "prompt" in fields:
        return "/v1/completions"
    reason = "data did not match any variant: it has no `inputs`, `messages` or `prompt`"
    raise Malformed(f"Failed to deserialize the JSON body into the target type: {reason}")


async def _whole(
    texts: Texts, request: Request, body: GenerateRequest, *, wrapped: bool
) -> Response:
    """Generate and answer with the whole text. wrapped: in a list, as `POST /` does."""
    p = body.parameters
    identified = p.details or bool(p.top_n_tokens) or p.best_of not in (None, 1)
    runs = await texts.start_all(body.inputs, p, stream=False, identified=identified)
    try:
        found = await unless_gone(request, _all(runs))
    finally:
        for run in runs:
            await run.close()
    if found is None:
        return Response(status_code=GONE)
    answer = answers.generated(found, body)
    return Response(
        orjson.dumps([answer] if wrapped else answer),
        media_type="application/json",
        headers=answers.headers(found[0], body),
    )


async def _all(runs: list[Run]) -> list[answers.Whole]:
    """All texts; when one fails the others are stopped."""
    tasks = [asyncio.ensure_future(answers.whole(run)) for run in runs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _streamed(texts: Texts, body: GenerateRequest) -> Response:
    run = await texts.start(body.inputs, body.parameters, stream=True, identified=True)
    return RunEvents(run, answers.events(run, body))
