"""TGI's `/v1/completions`: one or more prompts, gone on from at the same time.

How answers are written; `completions.py` makes them.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from llmasos.engine.chat_schemas import CompletionRequest
from llmasos.engine.completions import Completions
from llmasos.engine.edge import RunEvents, body_of, event, unless_gone
from llmasos.engine.openai_answers import REASONS, head, usage
from llmasos.engine.reading import Finish
from llmasos.engine.refusals import BatchTooLarge, NoSuffix
from llmasos.engine.texts import Texts

CompletionBody = Annotated[CompletionRequest, Depends(body_of(CompletionRequest))]


def completion_routes(texts: Texts, model_id: str) -> APIRouter:
    """The routes over a model that goes on from prompts."""
    routes = APIRouter()

    @routes.post("/v1/completions")
    async def complete(request: Request, body: CompletionBody) -> Response:
        """Go on from prompts, streamed or whole as the body says."""
        with texts.requested():
            if body.suffix is not None:
                raise NoSuffix
            if len(body.prompts) > texts.limits.batch:
                raise BatchTooLarge(texts.limits.batch)
        completions = await Completions.start(texts, body)
        if body.stream:
            return RunEvents(completions, _events(completions, body, model_id))
        try:
            answer = await unless_gone(request, _collect(completions, model_id))
        finally:
            await completions.close()
        return JSONResponse(answer) if answer else Response(status_code=499)  # nobody reads it

    return routes


async def _collect(completions: Completions, model_id: str) -> dict[str, Any]:
    """The whole answer, its choices in the order of the prompts."""
    async with aclosing(completions.steps()) as steps:
        ends = sorted([(index, step.finish) async for index, step in steps if step.finish])
    choices = [_choice(index, finish.text, finish) for index, finish in ends]
    return {
        **head("text_completion", model_id),
        "choices": choices,
        "usage": _sum([_usage(completions, index, finish) for index, finish in ends]),
    }


async def _events(
    completions: Completions, body: CompletionRequest, model_id: str
) -> AsyncGenerator[bytes, None]:
    """A chunk for each token, each text's usage in its last one, and `[DONE]`."""
    start = head("text_completion", model_id)
    used = []
    async with aclosing(completions.steps()) as steps:
        async for index, step in steps:
            text = "" if step.token.special else step.token.text
            chunk = {**start, "choices": [_choice(index, text, step.finish)]}
            if step.finish:
                used.append(_usage(completions, index, step.finish))
                chunk["usage"] = used[-1]
            yield event(chunk)
    if body.stream_options.include_usage:
        yield event({**start, "choices": [], "usage": _sum(used)})
    yield b"data: [DONE]\n\n"


def _choice(index: int, text: str, finish: Finish | None) -> dict[str, Any]:
    """A text or a piece of it. TGI's reason is empty until the text ends."""
    reason = REASONS[finish.reason] if finish else ""
    return {"index": index, "text": text, "logprobs": None, "finish_reason": reason}


def _usage(completions: Completions, index: int, finish: Finish) -> dict[str, int]:
    return usage(completions.prompt_tokens(index), finish.generated)


def _sum(used: list[dict[str, int]]) -> dict[str, int]:
    """What several texts used together."""
    prompt = sum(each["prompt_tokens"] for each in used)
    return usage(prompt, sum(each["completion_tokens"] for each in used))
