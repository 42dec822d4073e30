"""Small applications: a model with a few routes over HTTP, an ASGI application.

    app = Application(model)

    @app.route("/ask")
    def ask(question):
        return model.generate_text(question, max_length=100)

    app.run()

Built in: `POST /predict {"text"}` → `{"result"}`, and `GET /healthz`. Agents have a web server of
their own (`llmasos up`); this is for one program. Start reading at `Application`.
"""

import hmac
import inspect
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from http import HTTPStatus
from typing import Any, Protocol, TypeVar, get_type_hints

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from starlette.concurrency import run_in_threadpool

from llmasos.errors import (
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    InvalidRequest,
    LLMasOSError,
    UsageError,
)
from llmasos.llm import LLM

LONGEST_BODY = 1_000_000
"""Bytes of a request's body."""
PREDICT = "/predict"
HEALTH = "/healthz"
F = TypeVar("F", bound=Callable[..., Any])


class LLMApp:
    """A program of one step around a model: text in, text out.

    Override `process_input` and `generate_output` for your own; `run` calls one after the other.
    options: those of the model's calls, such as `max_new_tokens`.
    """

    def __init__(self, model: LLM, **options: Any) -> None:
        self.model, self.options = model, options

    def process_input(self, text: str) -> str:
        """Make the prompt of what came in; as it is, unless overridden."""
        return text

    def generate_output(self, prompt: str) -> str:
        """Make what goes out of the prompt: the model's answer, unless overridden."""
        answer: str = self.model.chat([("user", prompt)], **self.options)
        return answer.strip()

    def run(self, text: str) -> str:
        """The output for an input. Raises InvalidRequest or an EngineError."""
        return self.generate_output(self.process_input(text))


class Predicts(Protocol):
    """What `/predict` may be answered by, besides a model: a classifier, for one."""

    def predict(self, text: str) -> Any:
        """The answer to a text."""
        ...


class _Text(BaseModel):
    """The body of `/predict`."""

    model_config = ConfigDict(extra="forbid")

    text: str


class Application:
    """An HTTP application around a model: an `LLM`, an `LLMApp`, or anything with `predict`.

    key: what callers must send as `Authorization: Bearer …`; without one it serves this machine
    only. It is an ASGI application, for any server that takes one.
    """

    def __init__(self, model: LLM | LLMApp | Predicts, *, key: str | None = None) -> None:
        self.model = model
        self._key = key
        self._web = FastAPI(title="LLMasOS application", docs_url="/docs", redoc_url=None)
        self._web.add_exception_handler(LLMasOSError, _told)
        self._web.add_exception_handler(HTTPException, _refused)
        self._web.add_api_route(HEALTH, _healthy, methods=["GET"])
        self._paths = {HEALTH}
        self._add(PREDICT, self._predict, _Text, "The model's answer to a text.")

    def route(self, path: str) -> Callable[[F], F]:
        """Answer `POST path` with what a function returns, as `{"result": …}`.

        The body is a JSON object of the function's parameters, checked by their types; one without
        a type is a text. Raises InvalidRequest for a path that is taken, or is none.
        """

        def add(function: F) -> F:
            self._add(path, function, _body_of(function), inspect.getdoc(function) or "")
            return function

        return add

    def run(self, host: str = "127.0.0.1", port: int = 8000) -> None:
        """Serve until Ctrl-C. Raises InvalidRequest for a host beyond this machine without key."""
        import uvicorn  # late: an application under another server needs none

        if self._key is None and not _is_loopback(host):
            raise InvalidRequest(
                f"Everyone who reaches {host} could use this: give Application(model, key=…), or "
                "leave the host at 127.0.0.1."
            )
        uvicorn.run(self, host=host, port=port, log_level="warning")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection: ASGI."""
        await self._web(scope, receive, send)

    def _add(
        self, path: str, function: Callable[..., Any], body: type[BaseModel], about: str
    ) -> None:
        if not path.startswith("/") or path in self._paths or path == self._web.docs_url:
            raise InvalidRequest(f"'{path}' is taken, or is no path such as '/ask'.")
        self._paths.add(path)

        async def answer(request: Request) -> Response:
            self._check(request)
            arguments = _read(await _content(request), body)
            result = await run_in_threadpool(function, **arguments)
            return JSONResponse({"result": _plain(result)})

        shown = {"content": {"application/json": {"schema": body.model_json_schema()}}}
        self._web.add_api_route(
            path,
            answer,
            methods=["POST"],
            name=getattr(function, "__name__", "answer"),
            description=about,
            openapi_extra={"requestBody": shown},
        )

    def _check(self, request: Request) -> None:
        """Let only those in who may. Raises HTTPException."""
        if self._key is None:
            host = request.url.hostname or ""
            if not _is_loopback(host):  # a page elsewhere whose name was bent to this machine
                raise HTTPException(403, f"this serves 127.0.0.1 only, not {host}")
            return
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._key.encode()):
            raise HTTPException(401, "the key is missing or wrong")

    def _predict(self, text: str) -> Any:
        if isinstance(self.model, LLMApp):
            return self.model.run(text)
        if isinstance(self.model, LLM):
            return self.model.chat([("user", text)])
        return self.model.predict(text)


async def _healthy() -> Mapping[str, str]:
    return {"status": "ok"}


def _told(_: Request, error: Exception) -> Response:
    """An error of ours as an answer."""
    if isinstance(error, UsageError):
        return _problem(400, str(error))
    if isinstance(error, (EngineUnavailable, EngineOverloaded)):
        return _problem(503, "The model does not answer now. Try again later.")
    return _problem(502 if isinstance(error, EngineError) else 500, type(error).__name__)


def _refused(_: Request, error: Exception) -> Response:
    """A refusal of this module as an answer."""
    assert isinstance(error, HTTPException)
    return _problem(error.status_code, str(error.detail))


def _problem(status: int, detail: str) -> Response:
    """An error as RFC 9457 has it."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    return JSONResponse({**body, "detail": detail}, status, media_type="application/problem+json")


async def _content(request: Request) -> bytes:
    """A request's body. Raises HTTPException when it is too long."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > LONGEST_BODY:
            raise HTTPException(413, f"the body has more than {LONGEST_BODY} bytes")
    return content


def _read(content: bytes, body: type[BaseModel]) -> dict[str, Any]:
    """The arguments in a body. Raises HTTPException."""
    try:
        checked = body.model_validate_json(content or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise HTTPException(422, f"{where}: {first['msg']}") from None
    return {name: getattr(checked, name) for name in body.model_fields}


def _body_of(function: Callable[..., Any]) -> type[BaseModel]:
    """The model of a body that holds a function's arguments. Raises InvalidRequest."""
    hints = get_type_hints(function)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise InvalidRequest(f"A route's parameters have names: '{parameter}' has none.")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[name] = (hints.get(name, str), default)
    return create_model("Body", __config__=ConfigDict(extra="forbid"), **fields)


def _plain(result: Any) -> Any:
    """A result as JSON has it."""
    if isinstance(result, BaseModel):
        return result.model_dump(mode="json")
    if is_dataclass(result) and not isinstance(result, type):
        return asdict(result)
    if isinstance(result, (list, tuple)):
        return [_plain(each) for each in result]
    return result


def _is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
