"""The language model: llama.cpp in this process, through xllamacpp, and nothing else of ours.

One unified key-value cache shared by all slots, continuous batching; `llama_slots.py` has texts
that begin alike share what is computed, `llama_terms.py` knows llama.cpp's requests.
llama.cpp insists on an HTTP server of its own, the only way to its tokenizer and chat template: it
listens on a Unix socket in a private folder, behind a random key. Start reading at `chunks`.
"""

import asyncio
import json
import os
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import structlog

from llmasos.engine.inbox import Inbox
from llmasos.engine.llama_slots import Slot, Slots
from llmasos.engine.llama_terms import Part, completion, forced, part_of, prompt_alone
from llmasos.engine.refusals import BadTemplate, Failed
from llmasos.engine.text_model import Chunk, Job, TextToken, Token
from llmasos.errors import ModelError

log = structlog.get_logger()

SAVED_BYTES = 128 << 20
"""Bytes of states that are saved beside the cache; see `llama_slots.py`."""
BATCH = 256
"""Prompt tokens between two looks at whether the client is still there, and at other streams."""
_PROBE = "is_there_a_place_for_tools"
_FOLDER = "llmasos-engine-"
_CONTROL = re.compile(r"<(?=\|[\w-]{1,40}\|>|/?s>|(?:start|end)_of_turn>)")


class Llama:
    """A loaded GGUF model: a `TextModel`.

    path: the file. slots: texts at a time. context: tokens in the cache for all of them together.
    threads: 0 for as many as there are cores. Raises ModelError when it cannot be loaded.
    """

    def __init__(self, path: Path, *, slots: int, context: int, threads: int) -> None:
        import xllamacpp  # late: 0.3 s, and only this class needs it

        self._folder = _private_folder()
        folder = Path(self._folder.name)
        self._key = secrets.token_urlsafe(24)
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_parallel = slots
        params.n_ctx = context
        params.n_batch = BATCH
        params.n_ubatch = BATCH
        params.kv_unified = True
        params.cache_prompt = True
        params.cache_ram_mib = 0  # `Slots` does this
        params.cache_idle_slots = False
        params.slot_save_path = f"{folder}{os.sep}"
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads or _cores()
        params.hostnames = [str(folder / "llama.sock")]
        params.api_keys = [self._key]
        params.ui = False
        params.endpoint_slots = False
        params.verbosity = -1
        try:
            self._server = xllamacpp.Server(params)
        except RuntimeError as error:
            self._folder.cleanup()
            reason = "it is damaged, or of a kind that llama.cpp does not know; fetch it again"
            raise ModelError(f"{path} cannot be loaded: {reason}") from error
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=params.hostnames[0]),
            base_url="http://llama",
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=60,
        )
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="slot")
        self._closing = threading.Event()
        self._takes_tools: bool | None = None  # llama.cpp silently drops them: found out once
        self._entries: dict[int, str] = {}
        self._slots = Slots(slots, context, folder, self._act, SAVED_BYTES)

    async def close(self) -> None:
        """Stop every text, and give everything back."""
        self._closing.set()
        await self._http.aclose()
        await asyncio.to_thread(self._threads.shutdown)
        del self._server
        self._folder.cleanup()

    async def _asked(self, path: str, content: Any = None) -> httpx.Response:
        """What llama.cpp's own server answers. Raises Failed."""
        method = "GET" if content is None else "POST"
        try:
            return await self._http.request(method, path, json=content)
        except httpx.HTTPError as error:
            raise Failed(f"llama.cpp does not answer: {error!r}") from error

    async def trained_context(self) -> int:
        """Longest text in tokens that the model was trained for."""
        plain = (await self._asked("/v1/models")).json()
        return int(plain["data"][0]["meta"]["n_ctx_train"])

    async def end_of_text(self) -> TextToken:
        """The token that ends a text."""
        plain = (await self._asked("/props")).json()
        return (await self.tokenize(plain["eos_token"]))[0]

    async def token_ids(self, text: str, *, special: bool = True) -> list[int]:
        """The ids of a text's tokens. special: add what the model wants at the start."""
        content = {"content": text, "add_special": special, "parse_special": True}
        plain = (await self._asked("/tokenize", content)).json()
        return list(plain["tokens"])

    async def tokenize(self, text: str, *, special: bool = True) -> list[TextToken]:
        """The tokens of a text with their places in it."""
        content = {"content": text, "add_special": special, "parse_special": True}
        reply = await self._asked("/tokenize", {**content, "with_pieces": True})
        return _placed(text, reply.json()["tokens"])

    async def render(
        self,
        messages: Sequence[dict[str, Any]],
        tools: Sequence[dict[str, Any]] = (),
    ) -> str:
        """The prompt that the model's own chat template makes of messages and tools.

        Control tokens that stand in them are broken up: a message cannot pose as another.
        """
        safe = [{**m, "content": _CONTROL.sub("< ", m["content"])} for m in messages]
        if not tools:
            return await self._templated({"messages": safe})
        if self._takes_tools is None:
            probe = {"type": "function", "function": {"name": _PROBE, "parameters": {}}}
            asked = [{"role": "user", "content": "?"}]
            prompt = await self._templated({"messages": asked, "tools": [probe]})
            self._takes_tools = _PROBE in prompt
        if not self._takes_tools:
            raise BadTemplate("the model's chat template has no place for tools")
        listed = json.loads(_CONTROL.sub("< ", json.dumps(list(tools))))
        return await self._templated({"messages": safe, "tools": listed})

    async def _templated(self, content: dict[str, Any]) -> str:
        """What llama.cpp's template engine makes of it. Raises BadTemplate."""
        reply = await self._asked("/apply-template", content)
        plain = reply.json()
        if reply.is_error:
            raise BadTemplate(plain["error"]["message"])
        return str(plain["prompt"])

    async def prefill(self, tokens: Sequence[int]) -> list[Token]:
        """A prompt's tokens with their log probabilities.

        llama.cpp tells them only of tokens that it generates. So it is made to generate the prompt,
        each time up to a token that ends a text, behind which it has to begin again.
        """
        rated = [Token(tokens[0], await self._entry(tokens[0]))]
        slot = await self._slots.take(tokens, len(tokens))
        try:
            while (done := len(rated)) < len(tokens):
                request = forced(tokens[:done], tokens[done:], slot.id)
                async with aclosing(self._generated(request)) as parts:
                    async for part in parts:
                        for chunk in await self._chunks(part, tokens[len(rated) :], top=0):
                            if chunk.token:
                                rated.append(chunk.token)
                if len(rated) == done:
                    raise Failed("the prompt's own tokens cannot be told")
        finally:
            self._slots.give(slot)
        return rated

    async def chunks(self, job: Job, freed: Callable[[], None]) -> AsyncGenerator[Chunk, None]:
        """Generate; closing the iterator stops it within a batch of the prompt or a token.

        freed: called in the event loop once the slot is free again. Raises Failed.
        """
        try:
            room = len(job.tokens) + job.max_new_tokens
            slot = await self._slots.take(job.tokens, room, afresh=job.repeatable)
        except BaseException:
            freed()
            raise

        def given() -> None:
            self._slots.give(slot)
            freed()

        cached = await self._computed(job, slot, given)
        async with aclosing(self._generated(completion(job, slot.id), given)) as parts:
            async for part in parts:
                for chunk in await self._chunks(part, (), job.top_tokens):
                    yield chunk if cached is None else chunk._replace(cached=cached)

    async def _computed(self, job: Job, slot: Slot, given: Callable[[], None]) -> int | None:
        """Compute the state of a long prompt first, for others that begin like it to share.

        The tokens of it that were there; None where it was not worth while.
        """
        if slot.computing is None:
            return None
        cached = None
        try:
            async with aclosing(self._generated(prompt_alone(job.tokens, slot.id))) as parts:
                async for part in parts:
                    cached = part.cached
            await self._slots.computed(slot)
        except BaseException:
            given()
            raise
        return cached

    async def _act(self, slot: int, action: str, file: str) -> int | None:
        """Save, restore or erase what a slot holds; the file's bytes, None if it failed."""
        reply = await self._asked(f"/slots/{slot}?action={action}", {"filename": file})
        if reply.is_error:
            log.warning("engine.slot_state", action=action, reason=reply.json()["error"]["message"])
            return None
        return int(reply.json().get("n_written", 0))

    async def _generated(
        self, request: dict[str, Any], ended: Callable[[], None] = lambda: None
    ) -> AsyncGenerator[Part, None]:
        """What llama.cpp says to a request, from the thread that it keeps busy.

        ended: called in the event loop once the thread is free again.
        """
        inbox: Inbox[dict[str, Any] | None] = Inbox()
        gone = threading.Event()

        def receive(plain: dict[str, Any]) -> bool:
            """Take a part in the slot's thread; true stops the text."""
            if gone.is_set() or self._closing.is_set():
                return True
            inbox.loop.call_soon_threadsafe(inbox.put, plain)
            return False

        def over(_: object) -> None:
            ended()
            inbox.put(None)

        done = inbox.loop.run_in_executor(
            self._threads, self._server.handle_completions, request, receive
        )
        done.add_done_callback(over)
        told = 0
        try:
            while (plain := await inbox.next()) is not None:
                if "error" in plain:
                    raise Failed(plain["error"]["message"])
                if "prompt_progress" in plain:
                    continue
                count = plain["timings"]["predicted_n"]
                yield part_of(plain, count - told)
                told = count
            if error := done.exception():
                raise Failed(str(error)) from error
        finally:
            gone.set()

    async def _chunks(self, part: Part, ids: Sequence[int], top: int) -> list[Chunk]:
        """A part's tokens, one chunk each. ids: what they are, if that is known already.

        The tokens of a character that is split come at once; only the last one is named.
        """
        if part.tokens == 1 and part.text and part.named and not top:  # nearly always
            token = Token(part.named["id"], part.text, part.named["logprob"])
            return [Chunk(token, cached=part.cached)]
        chunks: list[Chunk] = []
        last = await self._last(part, top)
        unnamed = part.tokens - (last is not None)
        if unnamed > 0:
            if not ids and last and last.token and last.token.id is not None:
                ids = await self._spelt(part.text, last.token.id)
            known = [*ids, *[None] * part.tokens][: part.tokens]
            chunks = [
                Chunk(Token(known[number], ""), cached=part.cached) for number in range(unnamed)
            ]
        if last:
            chunks.append(last)
        if part.finish:
            chunks.append(Chunk(None, finish=part.finish, cached=part.cached))
        return chunks

    async def _last(self, part: Part, top: int) -> Chunk | None:
        """The chunk of a part's last token, if it has a text or a name."""
        named = part.named
        if named is None:
            return Chunk(Token(None, part.text), cached=part.cached) if part.text else None
        special = not part.text and not named["bytes"]
        text = await self._entry(named["id"]) if special else part.text
        token = Token(named["id"], text, named["logprob"], special)
        if not top:
            return Chunk(token, cached=part.cached)
        nearest = [await self._candidate(other) for other in named["top_logprobs"][:top]]
        return Chunk(token, tuple(nearest), cached=part.cached)

    async def _candidate(self, named: dict[str, Any]) -> Token:
        special = not named["bytes"]
        text = await self._entry(named["id"]) if special else named["token"]
        return Token(named["id"], text, named["logprob"], special)

    async def _entry(self, token: int) -> str:
        """A token's text as the vocabulary has it; while it generates llama.cpp hides signs."""
        if token not in self._entries:
            reply = await self._asked("/detokenize", {"tokens": [token]})
            self._entries[token] = str(reply.json()["content"])
        return self._entries[token]

    async def _spelt(self, text: str, last: int) -> list[int]:
        """The ids of a text's tokens if the last is this one, as far as the tokenizer knows."""
        ids = await self.token_ids(text, special=False)
        return ids if ids and ids[-1] == last else []


def _private_folder() -> "tempfile.TemporaryDirectory[str]":
    """A folder that only we may enter, gone at exit; those of engines that were killed go now."""
    everyones = Path(tempfile.gettempdir())
    for left in everyones.glob(f"{_FOLDER}*-*"):
        owner = left.name.removeprefix(_FOLDER).partition("-")[0]
        if owner.isdigit() and not _lives(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f"{_FOLDER}{os.getpid()}-")


def _lives(pid: int) -> bool:
    """Whether a process runs, anybody's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
