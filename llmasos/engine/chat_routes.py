"""The chat routes of TGI: `/v1/chat/completions` and `/chat_tokenize`."""

import time
from collections.abc import AsyncGenerator
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from llmasos.engine.edge import RunEvents, body_of, event, unless_gone
from llmasos.engine.schemas import ChatRequest
from llmasos.engine.text_routes import simple
from llmasos.engine.texts import Finish, Run, Step, Texts
from llmasos.engine.validation import chat_parameters

ChatBody = Annotated[ChatRequest, Depends(body_of(ChatRequest))]
_REASONS = {"eos_token": "stop", "stop_sequence": "stop_sequence", "length": "length"}


def chat_routes(texts: Texts, model_id: str) -> APIRouter:
    """The routes over a model that answers messages."""
    routes = APIRouter()

    @routes.post("/v1/chat/completions")
    async def complete(request: Request, body: ChatBody) -> Response:
        """Answer a conversation, streamed or whole as the body says."""
        run = await _start(texts, body)
        if body.stream:
            return RunEvents(run, _events(run, body, model_id))
        try:
            answer = await unless_gone(request, _collect(run, body, model_id))
        finally:
            await run.close()
        return JSONResponse(answer) if answer else Response(status_code=499)  # nobody reads it

    @routes.post("/chat_tokenize")
    async def chat_tokenize(body: ChatBody) -> dict[str, Any]:
        """Show the prompt that messages make, and its tokens."""
        chat_parameters(body)
        prompt = await _prompt(texts, body)
        tokens = await texts.model.tokenize(prompt, special=False)
        return {
            "tokenize_response": [simple(token) for token in tokens],
            "templated_text": prompt,
        }

    return routes


async def _prompt(texts: Texts, body: ChatRequest) -> str:
    return await texts.model.render([{"role": m.role, "content": m.text} for m in body.messages])


async def _start(texts: Texts, body: ChatRequest) -> Run:
    parameters = chat_parameters(body)
    prompt = await _prompt(texts, body)
    return await texts.start(
        prompt, parameters, stream=body.stream, identified=body.logprobs, special=False
    )


def _head(kind: str, model_id: str) -> dict[str, Any]:
    return {
        "object": kind,
        "id": "",
        "created": int(time.time()),
        "model": model_id,
        "system_fingerprint": f"{version('llmasos')}-native",
    }


def _usage(run: Run, finish: Finish) -> dict[str, int]:
    prompt, completion = len(run.job.tokens), finish.generated
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


async def _collect(run: Run, body: ChatRequest, model_id: str) -> dict[str, Any]:
    """The whole answer."""
    steps = [step async for step in run]
    finish = steps[-1].finish
    assert finish is not None
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": finish.text},
        "logprobs": {"content": [_logprob(step) for step in steps]} if body.logprobs else None,
        "finish_reason": _REASONS[finish.reason],
    }
    head = _head("chat.completion", model_id)
    return {**head, "choices": [choice], "usage": _usage(run, finish)}


async def _events(run: Run, body: ChatRequest, model_id: str) -> AsyncGenerator[bytes, None]:
    """A chunk for each token, the usage if it is asked for, and `[DONE]`."""
    head = _head("chat.completion.chunk", model_id)
    async for step in run:
        text = "" if step.token.special else step.token.text
        choice = {
            "index": 0,
            "delta": {"role": "assistant", "content": text},
            "logprobs": {"content": [_logprob(step)]} if body.logprobs else None,
            "finish_reason": _REASONS[step.finish.reason] if step.finish else None,
        }
        yield event({**head, "choices": [choice], "usage": None})
        if step.finish and body.stream_options.include_usage:
            yield event({**head, "choices": [], "usage": _usage(run, step.finish)})
    yield b"data: [DONE]\n\n"


def _logprob(step: Step) -> dict[str, Any]:
    return {
        "token": step.token.text,
        "logprob": step.token.logprob or 0.0,
        "top_logprobs": [{"token": t.text, "logprob": t.logprob} for t in step.top],
    }
