"""The chat routes of TGI: `/v1/chat/completions` and `/chat_tokenize`.

How answers are written; `chats.py` makes them.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from llmasos.engine.chat_schemas import ChatRequest
from llmasos.engine.chats import Chat, Part, chat_prompt
from llmasos.engine.edge import RunEvents, body_of, event, unless_gone
from llmasos.engine.openai_answers import head
from llmasos.engine.openai_parameters import chat_parameters
from llmasos.engine.reading import Step
from llmasos.engine.text_answers import simple
from llmasos.engine.texts import Texts
from llmasos.engine.tool_grammar import tool_use

ChatBody = Annotated[ChatRequest, Depends(body_of(ChatRequest))]


def chat_routes(texts: Texts, model_id: str) -> APIRouter:
    """The routes over a model that answers messages."""
    routes = APIRouter()

    @routes.post("/v1/chat/completions")
    async def complete(request: Request, body: ChatBody) -> Response:
        """Answer a conversation, streamed or whole as the body says."""
        chat = await Chat.start(texts, body)
        if body.stream:
            return RunEvents(chat, _events(chat, body, model_id))
        try:
            answer = await unless_gone(request, _collect(chat, body, model_id))
        finally:
            await chat.close()
        return JSONResponse(answer) if answer else Response(status_code=499)  # nobody reads it

    @routes.post("/chat_tokenize")
    async def chat_tokenize(body: ChatBody) -> dict[str, Any]:
        """Show the prompt that messages and tools make, and its tokens."""
        tools = tool_use(body.tools, body.tool_choice)
        chat_parameters(body, tools)
        prompt = await chat_prompt(texts, body, tools)
        tokens = await texts.model.tokenize(prompt, special=False)
        return {
            "tokenize_response": [simple(token) for token in tokens],
            "templated_text": prompt,
        }

    return routes


async def _collect(chat: Chat, body: ChatRequest, model_id: str) -> dict[str, Any]:
    """The whole answer."""
    async with aclosing(chat.parts()) as each:
        parts = [part async for part in each]
    name = next((part.name for part in parts if part.name is not None), None)
    message: dict[str, Any] = {"role": "assistant"}
    if name is None:
        message["content"] = "".join(part.text for part in parts)
    else:
        function = {"name": name, "arguments": "".join(part.arguments for part in parts)}
        message["tool_calls"] = [{"id": chat.call_id, "type": "function", "function": function}]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": _logprobs([step for part in parts for step in part.steps], body),
        "finish_reason": parts[-1].reason,
    }
    return {**head("chat.completion", model_id), "choices": [choice], "usage": chat.usage}


async def _events(chat: Chat, body: ChatRequest, model_id: str) -> AsyncGenerator[bytes, None]:
    """A chunk for each part, the usage if it is asked for, and `[DONE]`."""
    start = head("chat.completion.chunk", model_id)
    async with aclosing(chat.parts()) as parts:
        async for part in parts:
            choice = {
                "index": 0,
                "delta": _delta(part, chat),
                "logprobs": _logprobs(part.steps, body),
                "finish_reason": part.reason,
            }
            yield event({**start, "choices": [choice], "usage": None})
    if body.stream_options.include_usage:
        yield event({**start, "choices": [], "usage": chat.usage})
    yield b"data: [DONE]\n\n"


def _delta(part: Part, chat: Chat) -> dict[str, Any]:
    """What a part adds to the message. The id comes once: clients join what they are given."""
    if part.name is None and not part.arguments:
        return {"role": "assistant", "content": part.text}
    call = {
        "index": 0,
        "id": chat.call_id if part.name is not None else "",
        "type": "function",
        "function": {"name": part.name, "arguments": part.arguments},
    }
    return {"role": "assistant", "tool_calls": [call]}


def _logprobs(steps: Sequence[Step], body: ChatRequest) -> dict[str, Any] | None:
    """What the model thought of each token, if that is asked for."""
    if not body.logprobs:
        return None
    content = [
        {
            "token": step.token.text,
            "logprob": step.token.logprob or 0.0,
            "top_logprobs": [{"token": t.text, "logprob": t.logprob} for t in step.top],
        }
        for step in steps
    ]
    return {"content": content}
