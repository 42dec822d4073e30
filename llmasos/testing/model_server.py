"""A stand-in for a model server, as a process of its own: speaks TGI's protocol or OpenAI's.

`ModelServer` starts one and changes how it behaves while it runs. It has no model: it says its own
name, word by word. `python -m llmasos.testing.model_server tgi|openai|none [PORT]` is the process:
it prints its address and serves until it is killed. Start reading at `ModelServer`.
"""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route


@dataclass(frozen=True)
class Behaviour:
    """How it behaves."""

    model: str = "stand-in"
    words: int = 5
    first: float = 0.0
    """Seconds before the first token."""
    between: float = 0.01
    """Seconds between two tokens."""
    refuse: int = 0
    """The HTTP status that every request gets; 0: it is served."""
    retry_after: str = ""
    """The header of that name in a refusal."""
    health: int = 200
    """The HTTP status of `/health`."""
    break_after: int = -1
    """After so many tokens the connection is broken."""
    key: str = ""
    """The bearer token that it asks for."""
    text: str = ""
    """What it says; otherwise its own name, word by word."""
    tool: str = ""
    """The tool that it calls instead of answering."""


class ModelServer:
    """A stand-in that runs. kind: `tgi`, `openai`, or `none` for a server that is neither.

    name: of its model. port: where it listens; 0 takes a free one.
    """

    def __init__(self, name: str = "stand-in", kind: str = "tgi", port: int = 0) -> None:
        words = [sys.executable, "-P", "-m", "llmasos.testing.model_server", kind, str(port)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.name = name
        assert self.process.stdout is not None
        with self.process.stdout as said:
            self.url = said.readline().strip()
        self.behave()

    def behave(self, **how: Any) -> None:
        """Change how it behaves: the fields of `Behaviour`, the others as they are by default."""
        httpx.post(f"{self.url}/behave", json={"model": self.name, **how}).raise_for_status()

    def seen(self) -> Any:
        """What it was asked, how many texts it works on, and how many were not read to the end."""
        return httpx.get(f"{self.url}/seen").json()

    def bodies(self) -> list[Any]:
        """What it was asked for and did not refuse."""
        return [each["body"] for each in self.seen()["seen"] if "body" in each]

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()


state: dict[str, Any] = {
    "kind": "tgi", "now": Behaviour(), "seen": [], "running": 0, "closed": 0,
}  # fmt: skip
"""Of this process, when it is the server."""


class _Seen:
    """Notes every request, and refuses those that it is to refuse."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, or refuse."""
        if scope["type"] == "http" and scope["path"] not in ("/behave", "/seen"):
            now = state["now"]
            refusal = _refusal(now, scope)
            if refusal is not None:
                state["seen"].append({"path": scope["path"], "refused": True})
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _refusal(now: Behaviour, scope: Any) -> Response | None:
    sent = dict(scope["headers"]).get(b"authorization", b"").decode()
    if now.key and sent != f"Bearer {now.key}":
        return JSONResponse({"error": "who are you?"}, 401)
    if now.refuse and scope["method"] == "POST":
        headers = {"Retry-After": now.retry_after} if now.retry_after else {}
        kind = "overloaded" if now.refuse in (429, 503) else "validation"
        error = {"error": f"refused: {kind}", "error_type": kind}
        return JSONResponse(error, now.refuse, headers)
    return None


def _words() -> list[str]:
    now = state["now"]
    if now.text:
        return [now.text[i : i + 4] for i in range(0, len(now.text), 4)]
    return [f"{now.model} "] * now.words


def _cut(stops: list[str]) -> list[str]:
    """The words up to the first stop sequence."""
    text = "".join(_words())
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]
    if not ends:
        return _words()
    return [text[at : min(at + 4, min(ends))] for at in range(0, min(ends), 4)]


async def _tokens(wanted: int, stops: list[str]) -> AsyncIterator[tuple[str, str | None]]:
    """Each token and why it was the last."""
    now = state["now"]
    said = _cut(stops)
    words = said[:wanted]
    reason = "length" if len(said) > wanted else "stop"
    state["running"] += 1
    ended = False
    try:
        await asyncio.sleep(now.first)
        for place, word in enumerate(words, 1):
            if place > now.break_after >= 0:
                raise ConnectionError("broken off, as it was told to")
            yield word, reason if place == len(words) else None
            await asyncio.sleep(now.between)
        ended = True
    finally:
        state["running"] -= 1
        state["closed"] += not ended


def _line(event: dict[str, Any]) -> str:
    return f"data: {json.dumps(event)}\n\n"


async def _generate_stream(request: Request) -> Response:
    body = await _noted(request)

    async def lines() -> AsyncIterator[str]:
        count = 0
        async for word, reason in _tokens(body["parameters"]["max_new_tokens"], []):
            count += 1
            token = {"id": count, "text": word, "logprob": -0.1, "special": False}
            event: dict[str, Any] = {"index": count, "token": token, "generated_text": None}
            if reason:
                said = "eos_token" if reason == "stop" else reason
                event["generated_text"] = "".join(_words())
                event["details"] = {
                    "finish_reason": said, "generated_tokens": count, "input_length": 7,
                    "seed": None,
                }  # fmt: skip
            yield _line(event)

    return StreamingResponse(lines(), media_type="text/event-stream")


async def _chat(request: Request) -> Response:
    body = await _noted(request)
    if state["kind"] == "openai" and body["model"] != state["now"].model:
        error = {"message": f"The model `{body['model']}` does not exist.", "code": 404}
        return JSONResponse({"error": error}, 404)
    key = "text" if "prompt" in body else "delta"

    async def lines() -> AsyncIterator[str]:
        count, tool = 0, state["now"].tool
        stops = body.get("stop", [])
        stopped = stops[0] if stops and _cut(stops) != _words() else None
        async for word, reason in _tokens(body["max_tokens"], stops):
            count += 1
            said: Any = word if key == "text" else {"role": "assistant", "content": word}
            if tool and key == "delta":
                said = {"tool_calls": [_fragment(tool, count)]}
                reason = reason and "tool_calls"
            choice = {"index": 0, key: said, "finish_reason": reason}
            choice["stop_reason"] = stopped if reason == "stop" else None
            yield _line({"choices": [choice], "usage": None})
        usage = {"prompt_tokens": 7, "completion_tokens": count, "total_tokens": 7 + count}
        yield _line({"choices": [], "usage": usage})
        yield "data: [DONE]\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


def _fragment(tool: str, count: int) -> dict[str, Any]:
    """A piece of a tool call, as vLLM sends them: name and id with the first one only."""
    if count == 1:
        return {"index": 0, "id": "call_7", "type": "function", "function": {"name": tool}}
    part = {2: '{"city": ', 3: '"Bern"}'}.get(count, "")
    return {"index": 0, "function": {"arguments": part}}


async def _noted(request: Request) -> Any:
    body = await request.json()
    state["seen"].append({"path": request.url.path, "body": body})
    return body


async def _behave(request: Request) -> Response:
    state["now"] = replace(Behaviour(), **await request.json())
    return JSONResponse({})


async def _seen(request: Request) -> Response:
    return JSONResponse({name: state[name] for name in ("seen", "running", "closed")})


async def _health(request: Request) -> Response:
    return PlainTextResponse("", state["now"].health)


async def _info(request: Request) -> Response:
    limits = {"max_input_tokens": 1000, "max_total_tokens": 2000}
    return JSONResponse({"model_id": state["now"].model, **limits})


async def _models(request: Request) -> Response:
    return JSONResponse({"data": [{"id": state["now"].model, "max_model_len": 3000}]})


async def _tokenize(request: Request) -> Response:
    body = await request.json()
    words = (body.get("inputs") or body["prompt"]).split()
    ids = list(range(len(words)))
    return JSONResponse(ids if "inputs" in body else {"count": len(ids), "tokens": ids})


async def _chat_tokenize(request: Request) -> Response:
    return JSONResponse({"tokenize_response": [], "templated_text": "templated"})


async def _metrics(request: Request) -> Response:
    page = {
        "tgi": "tgi_queue_size 3\ntgi_batch_current_size 2\n",
        "openai": 'vllm:num_requests_waiting{model_name="m"} 4\n'
        'vllm:num_requests_running{model_name="m"} 1\n'
        'vllm:prefix_cache_queries_total{model_name="m"} 200\n'
        'vllm:prefix_cache_hits_total{model_name="m"} 150\n',
    }
    return PlainTextResponse(page.get(state["kind"], ""))


OWN = [Route("/behave", _behave, methods=["POST"]), Route("/seen", _seen)]
BOTH = [
    Route("/health", _health),
    Route("/metrics", _metrics),
    Route("/v1/models", _models),
    Route("/v1/chat/completions", _chat, methods=["POST"]),
    Route("/v1/completions", _chat, methods=["POST"]),
    Route("/tokenize", _tokenize, methods=["POST"]),
]
TGI = [
    Route("/info", _info),
    Route("/generate_stream", _generate_stream, methods=["POST"]),
    Route("/chat_tokenize", _chat_tokenize, methods=["POST"]),
]
ROUTES = {"tgi": [*OWN, *BOTH, *TGI], "openai": [*OWN, *BOTH], "none": OWN}


def main() -> None:
    """Be the server."""
    state["kind"] = sys.argv[1]
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    listener = socket.create_server(("127.0.0.1", port))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    app = Starlette(routes=ROUTES[state["kind"]], middleware=[Middleware(_Seen)])
    config = uvicorn.Config(app, log_level="critical", lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
