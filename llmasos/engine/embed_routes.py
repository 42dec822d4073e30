"""`/embed`: the protocol of Text Embeddings Inference, over the embedder."""

import asyncio
import time
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from llmasos.engine.edge import body_of, unless_gone
from llmasos.engine.embedder import Embedder
from llmasos.engine.metrics import Metrics
from llmasos.engine.refusals import BadEmbedding
from llmasos.engine.schemas import EmbedRequest

MAX_TEXTS = 1024
MAX_REQUESTS = 512
EmbedBody = Annotated[EmbedRequest, Depends(body_of(EmbedRequest))]


def embed_routes(embedder: Embedder, metrics: Metrics) -> APIRouter:
    """The route over an embedder."""
    routes = APIRouter()
    held = 0

    @routes.post("/embed")
    async def embed(request: Request, body: EmbedBody) -> Response:
        """Turn texts into vectors, in their order."""
        nonlocal held
        texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
        _check(texts)
        if held >= MAX_REQUESTS:
            raise BadEmbedding("Model is overloaded", "Overloaded", 429)
        began = time.monotonic()
        held += 1
        try:
            vectors = await unless_gone(request, _vectors(embedder, texts, body))
        finally:
            held -= 1
        metrics.embedding.observe(time.monotonic() - began)
        if vectors is None:
            return Response(status_code=499)  # nobody reads it
        metrics.embedded.inc(len(texts))
        return Response(vectors, media_type="application/json")

    return routes


def _check(texts: list[str]) -> None:
    if len(texts) > MAX_TEXTS:
        raise BadEmbedding(f"batch size {len(texts)} > maximum allowed batch size {MAX_TEXTS}")
    if not texts or not all(texts):
        raise BadEmbedding("`inputs` cannot be empty", "Empty", 400)


async def _vectors(embedder: Embedder, texts: list[str], body: EmbedRequest) -> bytes:
    """The vectors as JSON."""
    if not body.truncate:
        longest = max(await run_in_threadpool(embedder.lengths, texts))
        if longest > embedder.max_tokens:
            raise BadEmbedding(
                f"Input validation error: `inputs` must have less than {embedder.max_tokens} "
                f"tokens. Given: {longest}"
            )
    future = await run_in_threadpool(embedder.submit, texts, normalize=body.normalize)
    try:
        vectors = await asyncio.wrap_future(future)
    except RuntimeError as error:
        raise BadEmbedding(f"Inference failed: {error}", "Backend", 424) from error
    return orjson.dumps(vectors, option=orjson.OPT_SERIALIZE_NUMPY)
