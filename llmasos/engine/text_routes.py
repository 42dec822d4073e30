"""TGI's routes: `/generate`, its stream, `/tokenize`, and the model's card."""

from collections.abc import AsyncGenerator
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from llmasos.engine.edge import RunEvents, body_of, event, unless_gone
from llmasos.engine.llama import TextToken
from llmasos.engine.schemas import GenerateRequest
from llmasos.engine.texts import Finish, Run, Step, Texts
from llmasos.engine.validation import MAX_STOPS

GenerateBody = Annotated[GenerateRequest, Depends(body_of(GenerateRequest))]


def text_routes(texts: Texts, model_id: str, revision: str | None, permits: int) -> APIRouter:
    """The routes over a model. permits: requests held at once, for `/info`."""
    routes = APIRouter()

    @routes.get("/info")
    async def info() -> dict[str, Any]:
        """Tell the model and its limits."""
        return {
            "model_id": model_id,
            "model_sha": revision,
            "model_pipeline_tag": "text-generation",
            "max_concurrent_requests": permits,
            "max_best_of": 1,
            "max_stop_sequences": MAX_STOPS,
            "max_input_tokens": texts.limits.input_tokens,
            "max_total_tokens": texts.limits.total_tokens,
            "validation_workers": 1,
            "max_client_batch_size": 1,
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
        return [simple(token) for token in await texts.model.tokenize(body.inputs)]

    return routes


def simple(token: TextToken) -> dict[str, Any]:
    """A text's token as TGI writes it."""
    return {"id": token.id, "text": token.text, "start": token.start, "stop": token.stop}


async def _whole(
    texts: Texts, request: Request, body: GenerateRequest, *, wrapped: bool
) -> Response:
    """Generate and answer with the whole text. wrapped: in a list, as `POST /` does."""
    p = body.parameters
    wanted = p.details or bool(p.top_n_tokens)
    run = await texts.start(body.inputs, p, stream=False, identified=wanted)
    try:
        answer = await unless_gone(request, _collect(run, body))
    finally:
        await run.close()
    if answer is None:
        return Response(status_code=499)  # nobody reads it
    headers = {"x-prompt-tokens": str(len(run.job.tokens))}
    return JSONResponse([answer] if wrapped else answer, headers=headers)


async def _collect(run: Run, body: GenerateRequest) -> dict[str, Any]:
    """The answer of `/generate`."""
    steps = [step async for step in run]
    finish = steps[-1].finish
    assert finish is not None
    answer: dict[str, Any] = {"generated_text": _shown(finish, body)}
    if body.parameters.details:
        answer["details"] = {
            "finish_reason": finish.reason,
            "generated_tokens": finish.generated,
            "seed": run.job.seed,
            "prefill": [],
            "tokens": [step.token.as_json() for step in steps],
            "best_of_sequences": None,
        }
        if run.job.top_tokens:
            answer["details"]["top_tokens"] = [_top(step) for step in steps]
    return answer


async def _streamed(texts: Texts, body: GenerateRequest) -> Response:
    run = await texts.start(body.inputs, body.parameters, stream=True, identified=True)
    return RunEvents(run, _events(run, body))


async def _events(run: Run, body: GenerateRequest) -> AsyncGenerator[bytes, None]:
    """The events of `/generate_stream`; the last one has the whole text and the details."""
    index = 0
    async for step in run:
        index += 1
        plain: dict[str, Any] = {
            "index": index,
            "token": step.token.as_json(),
            "generated_text": None,
            "details": None,
        }
        if run.job.top_tokens:
            plain["top_tokens"] = _top(step)
        if step.finish:
            plain["generated_text"] = _shown(step.finish, body)
            plain["details"] = {
                "finish_reason": step.finish.reason,
                "generated_tokens": step.finish.generated,
                "seed": run.job.seed,
                "input_length": len(run.job.tokens),
            }
        yield event(plain)


def _shown(finish: Finish, body: GenerateRequest) -> str:
    """The text, behind its prompt if that is asked for."""
    return body.inputs + finish.text if body.parameters.return_full_text else finish.text


def _top(step: Step) -> list[dict[str, Any]]:
    return [token.as_json() for token in step.top]
