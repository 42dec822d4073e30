"""The language model: llama.cpp in this process, through xllamacpp, and nothing else of ours.

One unified key-value cache shared by all slots, continuous batching, a bounded prefix cache.
llama.cpp insists on an HTTP server of its own, the only way to its tokenizer and chat template: it
listens on a Unix socket in a private folder, behind a random key. Start reading at `chunks`.
"""

import asyncio
import os
import re
import secrets
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from llmasos.engine.refusals import BadTemplate, Failed
from llmasos.engine.validation import Job
from llmasos.errors import ModelError

PROMPT_CACHE_MIB = 128
BATCH = 256
"""Prompt tokens between two looks at whether the client is still there, and at other streams."""
_CONTROL = re.compile(r"<(?=\|[\w-]{1,40}\|>|/?s>|(?:start|end)_of_turn>)")


@dataclass(frozen=True)
class TextToken:
    """A piece of vocabulary in a text. start and stop: characters of that text."""

    id: int
    text: str
    start: int
    stop: int


@dataclass(frozen=True)
class Chunk:
    """What the model said in one step."""

    text: str
    generated: int
    """Tokens generated so far."""
    logprob: dict[str, Any] | None = None
    """llama.cpp's `{"id", "logprob", "top_logprobs"}` of the token, when asked for."""
    finish: str | None = None
    """`stop` or `length` when the text is done."""
    cached: int = 0
    """Tokens of the prompt that were in the cache already."""


class Llama:
    """A loaded GGUF model.

    path: the file. slots: texts at a time. context: tokens in the cache for all of them together.
    threads: 0 for as many as there are cores. Raises ModelError when it cannot be loaded.
    """

    def __init__(self, path: Path, *, slots: int, context: int, threads: int) -> None:
        import xllamacpp  # late: 0.3 s, and only this class needs it

        self._folder = tempfile.TemporaryDirectory(prefix="llmasos-")  # 0700, short, gone at exit
        self._key = secrets.token_urlsafe(24)
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_parallel = slots
        params.n_ctx = context
        params.n_batch = BATCH
        params.n_ubatch = BATCH
        params.kv_unified = True
        params.cache_prompt = True
        params.cache_ram_mib = PROMPT_CACHE_MIB
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads or _cores()
        params.hostnames = [str(Path(self._folder.name) / "llama.sock")]
        params.api_keys = [self._key]
        params.ui = False
        params.endpoint_slots = False
        params.verbosity = -1
        try:
            self._server = xllamacpp.Server(params)
        except RuntimeError as error:
            self._folder.cleanup()
            raise ModelError(f"{path} cannot be loaded: {error}") from error
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=params.hostnames[0]),
            base_url="http://llama",
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=60,
        )
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="slot")
        self._closing = threading.Event()

    async def close(self) -> None:
        """Stop every text, and give everything back."""
        self._closing.set()
        await self._http.aclose()
        await asyncio.to_thread(self._threads.shutdown)
        del self._server
        self._folder.cleanup()

    async def trained_context(self) -> int:
        """Longest text in tokens that the model was trained for."""
        plain = (await self._http.get("/v1/models")).json()
        return int(plain["data"][0]["meta"]["n_ctx_train"])

    async def end_of_text(self) -> TextToken:
        """The token that ends a text."""
        plain = (await self._http.get("/props")).json()
        return (await self.tokenize(plain["eos_token"]))[0]

    async def token_ids(self, text: str, *, special: bool = True) -> list[int]:
        """The ids of a text's tokens. special: add what the model wants at the start."""
        content = {"content": text, "add_special": special, "parse_special": True}
        plain = (await self._http.post("/tokenize", json=content)).json()
        return list(plain["tokens"])

    async def tokenize(self, text: str, *, special: bool = True) -> list[TextToken]:
        """The tokens of a text with their places in it."""
        content = {"content": text, "add_special": special, "parse_special": True}
        reply = await self._http.post("/tokenize", json={**content, "with_pieces": True})
        return _placed(text, reply.json()["tokens"])

    async def render(self, messages: Sequence[dict[str, str]]) -> str:
        """The prompt that the model's own chat template makes of messages.

        Control tokens that stand in the messages are broken up: a message cannot pose as another.
        """
        safe = [{**m, "content": _CONTROL.sub("< ", m["content"])} for m in messages]
        reply = await self._http.post("/apply-template", json={"messages": safe})
        plain = reply.json()
        if reply.is_error:
            raise BadTemplate(plain["error"]["message"])
        return str(plain["prompt"])

    async def chunks(self, job: Job, freed: Callable[[], None]) -> AsyncGenerator[Chunk, None]:
        """Generate; closing the iterator stops it within a batch of the prompt or a token.

        freed: called in the event loop once the slot is free again. Raises Failed.
        """
        loop = asyncio.get_running_loop()
        inbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        gone = threading.Event()

        def receive(chunk: dict[str, Any]) -> bool:
            """Take a chunk in the slot's thread; true stops the text."""
            if gone.is_set() or self._closing.is_set():
                return True
            loop.call_soon_threadsafe(inbox.put_nowait, chunk)
            return False

        def ended(_: object) -> None:
            freed()
            inbox.put_nowait(None)

        done = loop.run_in_executor(
            self._threads, self._server.handle_completions, _request(job), receive
        )
        done.add_done_callback(ended)
        try:
            while (chunk := await inbox.get()) is not None:
                if "error" in chunk:
                    raise Failed(chunk["error"]["message"])
                if "prompt_progress" not in chunk:
                    yield _parse(chunk)
            if error := done.exception():
                raise Failed(str(error)) from error
        finally:
            gone.set()


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _request(job: Job) -> dict[str, Any]:
    """The job as llama.cpp's completion request."""
    plain: dict[str, Any] = {
        **job.sampling,
        "prompt": list(job.tokens),
        "n_predict": job.max_new_tokens,
        "stream": True,
        "cache_prompt": True,
        "return_progress": True,  # else nothing fires before the first token
        "timings_per_token": True,
    }
    if job.identified:
        plain["logprobs"] = max(1, job.top_tokens)
    if job.schema:
        plain["json_schema"] = job.schema
    return plain


def _parse(chunk: dict[str, Any]) -> Chunk:
    """llama.cpp's chunk as ours."""
    choice, timings = chunk["choices"][0], chunk.get("timings", {})
    named = choice["logprobs"]["content"] if choice.get("logprobs") else []
    return Chunk(
        text=choice["text"],
        generated=timings.get("predicted_n", 0),
        logprob=named[0] if named else None,
        finish=choice["finish_reason"],
        cached=timings.get("cache_n", 0),
    )


def _placed(text: str, tokens: Sequence[dict[str, Any]]) -> list[TextToken]:
    """Tokens with their places: pieces are bytes in a row, and characters may be split."""
    ends: list[int] = []  # for each byte, the number of the character that it belongs to
    for number, character in enumerate(text):
        ends += [number] * len(character.encode("utf-8", "surrogatepass"))
    ends.append(len(text))
    placed, byte = [], 0
    for token in tokens:
        piece = token["piece"]
        size = len(piece.encode()) if isinstance(piece, str) else len(piece)
        last = len(ends) - 1
        start = ends[min(byte, last)]
        stop = ends[min(byte + size - 1, last)] + 1 if size else start
        stop = min(stop, len(text))
        placed.append(TextToken(token["id"], text[start:stop], start, stop))
        byte += size
    return placed
