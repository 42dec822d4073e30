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
from llmasos.engine.completion_routes import completion_routes
from llmasos.engine.edge import BearerGate, refusal_response
from llmasos.engine.embed_routes import embed_routes
from llmasos.engine.embedder import Embedder
from llmasos.engine.metrics import Metrics
from llmasos.engine.refusals import Refusal, Unhealthy
from llmasos.engine.serving import Served
from llmasos.engine.text_model import TextModel
from llmasos.engine.text_routes import text_routes
from llmasos.engine.texts import Texts
from llmasos.engine.validation import Limits
from llmasos.errors import SettingsError
from llmasos.settings import EngineSettings


async def build(
    own: EngineSettings, served: Served, text: TextModel | None, embedder: Embedder | None
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
        app.include_router(completion_routes(texts, name))
    if embedder:
        app.include_router(embed_routes(embedder, metrics))

    @app.get("/health")
    async def health() -> Response:
        """Answer 200 as long as the text model does. Raises Unhealthy."""
        if text:
            try:
                await text.trained_context()
            except Refusal:
                raise Unhealthy from None
        return Response()

    @app.get("/metrics")
    async def page() -> Response:
        """Tell the counts in Prometheus' format."""
        return Response(metrics.page(), media_type="text/plain; version=0.0.4")

    return app


async def _texts(own: EngineSettings, text: TextModel, metrics: Metrics) -> Texts:
    """The text model behind its queue."""
    trained = await text.trained_context()
    if own.max_total_tokens > trained:
        reason = f"is above what the model was trained for, {trained}"
        raise SettingsError("engine.max_total_tokens", str(own.max_total_tokens), reason)
    admission = Admission(permits=own.max_concurrent_requests, slots=own.slots, tokens=own.context)
    metrics.queue_size.set_function(lambda: admission.waiting)
    limits = Limits(
        input_tokens=own.max_input_tokens,
        total_tokens=own.max_total_tokens,
        best_of=own.max_best_of,
        stops=own.max_stop_sequences,
        top_tokens=own.max_top_n_tokens,
        batch=own.max_client_batch_size,
    )
    return Texts(text, admission, limits, metrics)
