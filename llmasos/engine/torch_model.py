"""A model of the transformers library as a text model: safetensors on CUDA, MPS or the processor.

For what llama.cpp does not run: a Hub name, a folder as trainers save it. One thread computes; it
takes every text that is under way one token further at a time, all of them in one batch, and reads
new prompts in between. Start reading at `TorchModel.chunks` and `_Worker.run`.
"""

import asyncio
import json
import queue
import re
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmasos.engine.inbox import Inbox
from llmasos.engine.memory import available, require_memory
from llmasos.engine.refusals import BadTemplate, Failed
from llmasos.engine.text_model import Chunk, Job, TextToken, Token
from llmasos.engine.torch_batch import Batch, Prefixes, Row
from llmasos.engine.torch_drawing import Drawing, Speller
from llmasos.errors import ModelError

PROMPT_STEP = 256
"""Prompt tokens between two looks at the other texts, and at whether the client is still there."""


@dataclass(eq=False)
class _Task:
    """A job with the two ends of its way: where its chunks go, and whether anyone wants them."""

    job: Job
    say: Callable[[Chunk | Exception | None], None]
    """None: its slot is free again."""
    gone: threading.Event = field(default_factory=threading.Event)


class TorchModel:
    """A loaded causal language model: a `TextModel`.

    folder: its configuration, tokenizer and safetensors. slots: texts at a time. context: tokens
    that are kept of finished texts, for those that begin alike. threads: on the processor, 0 for as
    many as there are cores. Raises ModelError when it cannot be loaded, ModelTooLarge when there is
    no room for it where it is to be computed.
    """

    def __init__(self, folder: Path, *, slots: int, context: int, threads: int) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._device, dtype = _place(torch)
        require_memory(
            str(folder),
            folder,
            expansion=_expansion(torch, folder, dtype),
            free=_free(torch, self._device),
        )
        if threads and self._device == "cpu":
            torch.set_num_threads(threads)
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,  # the other format runs code when it is read
                dtype=dtype,
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise ModelError(f"{folder} cannot be loaded: {error}") from error
        if not self._tokenizer.is_fast:
            raise ModelError(f"{folder} cannot be loaded: it has no tokenizer.json")
        self._model = model.to(self._device).eval()
        self._ends = _end_ids(self._model, self._tokenizer)
        self._special = frozenset(self._tokenizer.all_special_ids) | frozenset(self._ends)
        signs = sorted(filter(None, self._tokenizer.all_special_tokens), key=len, reverse=True)
        self._signs = re.compile("|".join(map(re.escape, signs)) or r"(?!)")
        self._worker = _Worker(self._model, self._device, slots, context)
        self._drawing = Drawing(self._tokenizer, self._device, self._vocabulary(), self._ends)

    async def close(self) -> None:
        """Stop every text, and give everything back."""
        await asyncio.to_thread(self._worker.close)

    async def trained_context(self) -> int:
        """Longest text in tokens that the model was trained for."""
        config = self._model.config.get_text_config()
        longest = getattr(config, "max_position_embeddings", None)
        return int(longest or self._tokenizer.model_max_length)

    async def end_of_text(self) -> TextToken:
        """The token that ends a text."""
        text = str(self._tokenizer.convert_ids_to_tokens(self._ends[0]))
        return TextToken(self._ends[0], text, 0, len(text))

    async def token_ids(self, text: str, *, special: bool = True) -> list[int]:
        """The ids of a text's tokens. special: add what the model wants at the start."""
        return list(self._tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])

    async def tokenize(self, text: str, *, special: bool = True) -> list[TextToken]:
        """The tokens of a text with their places in it."""
        found = self._tokenizer(
            text, add_special_tokens=special, return_offsets_mapping=True, verbose=False
        )
        places = zip(found["input_ids"], found["offset_mapping"], strict=True)
        return [TextToken(each, text[start:stop], start, stop) for each, (start, stop) in places]

    async def render(
        self,
        messages: Sequence[dict[str, Any]],
        tools: Sequence[dict[str, Any]] = (),
    ) -> str:
        """The prompt that the model's own chat template makes of messages and tools.

        Control tokens that stand in the messages are broken up: a message cannot pose as another.
        Raises BadTemplate, also when the template has no place for tools.
        """
        from jinja2 import TemplateError

        template = self._tokenizer.chat_template
        if not template:
            raise BadTemplate("the model has no chat template")
        if tools and "tools" not in str(template):
            raise BadTemplate("the model's chat template has no place for tools")
        safe = [{**each, "content": self._broken_up(each["content"])} for each in messages]
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    safe, tools=list(tools) or None, tokenize=False, add_generation_prompt=True
                )
            )
        except (TemplateError, ValueError, TypeError, KeyError) as error:
            raise BadTemplate(str(error)) from error

    async def prefill(self, tokens: Sequence[int]) -> list[Token]:
        """A prompt's tokens, each with its log probability after those before it."""
        logprobs = await asyncio.wrap_future(self._worker.ask(lambda: self._rated(tokens)))
        texts = self._tokenizer.convert_ids_to_tokens(list(tokens))
        spelt = [self._tokenizer.convert_tokens_to_string([text]) for text in texts]
        return [
            Token(each, text, logprob, each in self._special)
            for each, text, logprob in zip(tokens, spelt, logprobs, strict=True)
        ]

    async def chunks(self, job: Job, freed: Callable[[], None]) -> AsyncGenerator[Chunk, None]:
        """Generate; closing the iterator stops it within a batch of the prompt or a token.

        freed: called in the event loop once the slot is free again. Raises Failed.
        """
        inbox: Inbox[Chunk | Exception | None] = Inbox()

        def take(said: Chunk | Exception | None) -> None:
            if said is None:
                freed()
            inbox.put(said)

        def say(said: Chunk | Exception | None) -> None:
            inbox.loop.call_soon_threadsafe(take, said)

        task = _Task(job, say)
        self._worker.begin(task, lambda: self._writer(job))
        try:
            while (said := await inbox.next()) is not None:
                if isinstance(said, Exception):
                    raise Failed(str(said)) from said
                yield said
        finally:
            task.gone.set()

    def _writer(self, job: Job) -> "_Writer":
        return _Writer(job, self._drawing, Speller(self._tokenizer, self._special), self._ends)

    def _broken_up(self, text: str) -> str:
        return self._signs.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)

    def _rated(self, tokens: Sequence[int]) -> list[float | None]:
        """The log probability of each token after those before it; the first has none."""
        import torch

        ids = torch.tensor([list(tokens)], device=self._device)
        logits = self._model(input_ids=ids, use_cache=False).logits[0, :-1].float()
        rated = logits.log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
        return [None, *rated.tolist()]

    def _vocabulary(self) -> int:
        return int(self._model.get_output_embeddings().weight.shape[0])


class _Writer:
    """One text as it grows: draws its tokens and says how it ends."""

    def __init__(self, job: Job, drawing: Drawing, speller: Speller, ends: Sequence[int]) -> None:
        self.job = job
        self._draw = drawing.begin(job)
        self._speller, self._ends = speller, ends
        self.generated = 0

    def next(self, logits: Any, cached: int) -> tuple[int, list[Chunk]]:
        """Draw a token; gives it and what there is to say. The last chunk of a text has a finish.

        logits: shape (vocabulary,), float32.
        """
        token = self._draw.token(logits)
        self.generated += 1
        chunks = [self._chunk(token, logits, cached)]
        if token in self._ends or self._draw.complete:
            chunks.append(Chunk(None, finish="eos_token", cached=cached))
        elif self.generated >= self.job.max_new_tokens:
            chunks.append(Chunk(None, finish="length", cached=cached))
        return token, chunks

    def _chunk(self, token: int, logits: Any, cached: int) -> Chunk:
        text, special = self._speller.spell(token)
        if not (self.job.identified or self.job.top_tokens):
            return Chunk(Token(token, text, special=special), cached=cached)
        rated = logits.log_softmax(-1)
        merged = not text and not special  # its text, and what is said of it, come with the last
        logprob = None if merged else float(rated[token])
        top = []
        if self.job.top_tokens and not merged:
            values, ids = rated.topk(self.job.top_tokens)
            top = [
                Token(each, *self._speller.alone(each, value))
                for value, each in zip(values.tolist(), ids.tolist(), strict=True)
            ]
        return Chunk(Token(token, text, logprob, special), tuple(top), cached=cached)


_Made = Callable[[], _Writer]


class _Worker:
    """The thread that computes."""

    def __init__(self, model: Any, device: str, slots: int, context: int) -> None:
        self._model, self._device, self._slots = model, device, slots
        self._waiting: queue.SimpleQueue[tuple[_Task, _Made] | Callable[[], None] | None] = (
            queue.SimpleQueue()
        )
        self._prefixes = Prefixes(context)
        self._batch = Batch(model, device)
        self._writers: dict[Row, tuple[_Task, _Writer]] = {}
        self._closing = False
        self._thread = threading.Thread(target=self.run, name="text-model", daemon=True)
        self._thread.start()

    def begin(self, task: _Task, made: _Made) -> None:
        """Take a text on. made: makes its writer, on this thread."""
        self._waiting.put((task, made))

    def ask(self, compute: Callable[[], Any]) -> "Future[Any]":
        """Compute something between two tokens."""
        answer: Future[Any] = Future()

        def act() -> None:
            if answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(compute())
                except RuntimeError as error:
                    answer.set_exception(Failed(str(error)))

        self._waiting.put(act)
        return answer

    def close(self) -> None:
        """End the thread; texts under way end where they are."""
        self._closing = True
        self._waiting.put(None)
        self._thread.join()

    def run(self) -> None:
        """Compute until it is closed."""
        import torch

        with torch.inference_mode():
            while not self._closing:
                self._take_in(wait=not self._writers)
                self._step()
        for task, _ in self._writers.values():
            task.say(None)

    def _take_in(self, *, wait: bool) -> None:
        """Begin what waits. wait: until there is something."""
        while not self._closing:
            try:
                waiting = self._waiting.get(block=wait)
            except queue.Empty:
                return
            wait = False
            if callable(waiting):
                waiting()
            elif waiting is not None:
                self._begin(*waiting)

    def _begin(self, task: _Task, made: _Made) -> None:
        """Read a prompt, the other texts going on meanwhile, and draw its first token."""
        tokens = task.job.tokens
        try:
            writer = made()
            row = self._prefixes.row(tokens)
            cached = row.length
            while row.length < len(tokens):
                if task.gone.is_set() or self._closing:
                    self._keep(row)
                    task.say(None)
                    return
                part = tokens[row.length : row.length + PROMPT_STEP]
                row.logits = self._batch.read(row, part)
                self._step()
            row.cached = cached
            self._writers[row] = (task, writer)
            self._say(row, row.logits)
            if row in self._writers:
                self._batch.join(row)
        except (RuntimeError, ValueError) as error:  # out of memory; a grammar that is none
            task.say(error)
            task.say(None)

    def _step(self) -> None:
        """Take every text one token further."""
        for row, (task, _) in list(self._writers.items()):
            if task.gone.is_set():
                self._end(row)
        if not self._batch.rows:
            return
        try:
            logits = self._batch.step()
        except RuntimeError as error:
            for row, (task, _) in list(self._writers.items()):
                task.say(error)
                self._end(row)
            return
        for row, own in zip(list(self._batch.rows), logits, strict=True):
            self._say(row, own)

    def _say(self, row: Row, logits: Any) -> None:
        """Draw a row's next token and say it."""
        task, writer = self._writers[row]
        try:
            token, chunks = writer.next(logits, row.cached)
        except (RuntimeError, ValueError) as error:
            task.say(error)
            self._end(row)
            return
        row.tokens.append(token)
        for chunk in chunks:
            task.say(chunk)
        if chunks[-1].finish:
            self._end(row)

    def _end(self, row: Row) -> None:
        task, _ = self._writers.pop(row)
        self._keep(row)
        task.say(None)

    def _keep(self, row: Row) -> None:
        self._batch.leave(row)
        self._prefixes.keep(row)


def _place(torch: Any) -> tuple[str, Any]:
    """Where to compute, and in what numbers."""
    if torch.cuda.is_available():
        return "cuda", torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if torch.backends.mps.is_available():
        return "mps", torch.float16
    return "cpu", torch.float32


def _free(torch: Any, device: str) -> int:
    """Bytes that are free where a model is computed; Apple's processors share the machine's."""
    return int(torch.cuda.mem_get_info()[0]) if device == "cuda" else available()


def _expansion(torch: Any, folder: Path, dtype: Any) -> float:
    """Bytes in memory for one on the disk, as far as the model says what it was saved in."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return 1.0  # loading it says what is wrong
    saved = getattr(torch, str(config.get("dtype") or config.get("torch_dtype")), None)
    return float(dtype.itemsize / saved.itemsize) if saved is not None else 1.0


def _end_ids(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """The tokens that end a text, the usual one first."""
    named = model.generation_config.eos_token_id
    ids = [tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])]
    found = tuple(dict.fromkeys(each for each in ids if each is not None))
    if not found:
        raise ModelError("The model cannot be served: it names no token that ends a text.")
    return found
