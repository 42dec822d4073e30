"""The engine's application: the routes over the loaded models, the key at the door.

Composed by `process.py`. Start reading at `build`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.responses import Response

from llmasos.engine.admission import Admission
from llmasos.engine.chat_routes import chat_routes
from llmasos.engine.edge import BearerGate, refusal_response
from llmasos.engine.embed_routes import embed_routes
from llmasos.engine.embedder import Embedder
from llmasos.engine.llama import Llama
from llmasos.engine.metrics import Metrics
from llmasos.engine.refusals import Refusal
from llmasos.engine.serving import Served
from llmasos.engine.text_routes import text_routes
from llmasos.engine.texts import Texts
from llmasos.engine.validation import Limits
from llmasos.errors import SettingsError
from llmasos.settings import EngineSettings


async def build(
    own: EngineSettings, served: Served, text: Llama | None, embedder: Embedder | None
) -> FastAPI:
    """The application; it closes the models when it ends. Raises SettingsError."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        if embedder:
            await asyncio.to_thread(embedder.close)
        if text:
            await text.close()

    app = FastAPI(title="LLMasOS engine", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_exception_handler(Refusal, refusal_response)
    if own.api_key:
        app.add_middleware(BearerGate, key=own.api_key.get_secret_value())
    if text:
        name = served.text_model or ""
        texts = await _texts(own, text, metrics)
        app.include_router(text_routes(texts, name, served.revision, own.max_concurrent_requests))
        app.include_router(chat_routes(texts, name))
    if embedder:
        app.include_router(embed_routes(embedder, metrics))

    @app.get("/health")
    async def health() -> Response:
        """Answer 200: it can only be asked once the models are loaded."""
        return Response()

    @app.get("/metrics")
    async def page() -> Response:
        """Tell the counts in Prometheus' format."""
        return Response(metrics.page(), media_type="text/plain; version=0.0.4")

    return app


async def _texts(own: EngineSettings, text: Llama, metrics: Metrics) -> Texts:
    """The text model behind its queue."""
    trained = await text.trained_context()
    if own.max_total_tokens > trained:
        reason = f"is above what the model was trained for, {trained}"
        raise SettingsError("engine.max_total_tokens", str(own.max_total_tokens), reason)
    admission = Admission(permits=own.max_concurrent_requests, slots=own.slots, tokens=own.context)
    metrics.queue_size.set_function(lambda: admission.waiting)
    limits = Limits(own.max_input_tokens, own.max_total_tokens)
    return Texts(text, admission, limits, metrics)
