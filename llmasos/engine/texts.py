"""Generating a text: validate, wait for a slot, run the model, watch for the end.

Between the routes, which know HTTP, and `llama.py`, which knows the model. Start reading at
`Texts.start`.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from llmasos.engine.admission import Admission
from llmasos.engine.llama import Chunk, Llama, TextToken
from llmasos.engine.metrics import Metrics
from llmasos.engine.refusals import Failed, Incomplete, Invalid, Refusal
from llmasos.engine.schemas import Parameters
from llmasos.engine.stopping import StopWatch
from llmasos.engine.validation import Job, Limits, check, fit


@dataclass(frozen=True)
class Token:
    """A generated token. id and logprob are known where they were asked for."""

    id: int
    text: str
    logprob: float | None = None
    special: bool = False

    def as_json(self) -> dict[str, Any]:
        """The token as TGI writes it."""
        return {
            "id": self.id,
            "text": self.text,
            "logprob": self.logprob,
            "special": self.special,
        }


@dataclass(frozen=True)
class Finish:
    """How a text ended. reason: `length`, `eos_token` or `stop_sequence`."""

    reason: str
    text: str
    generated: int


@dataclass(frozen=True)
class Step:
    """One token; the last one carries the finish."""

    token: Token
    top: tuple[Token, ...] = ()
    finish: Finish | None = None


class Run:
    """A text that is being generated; must be closed, however it ends."""

    def __init__(
        self, job: Job, steps: AsyncGenerator[Step, None], leave: Callable[[], None]
    ) -> None:
        self.job = job
        self._steps, self._leave = steps, leave

    def __aiter__(self) -> AsyncIterator[Step]:
        return self._steps

    async def close(self) -> None:
        """Stop it if it still runs, and give its permit back."""
        try:
            await self._steps.aclose()
        finally:
            self._leave()


class Texts:
    """A model that takes requests."""

    def __init__(
        self, model: Llama, admission: Admission, limits: Limits, metrics: Metrics
    ) -> None:
        self.model, self.limits = model, limits
        self._admission, self._metrics = admission, metrics
        self._end: TextToken | None = None

    async def start(
        self, prompt: str, p: Parameters, *, stream: bool, identified: bool, special: bool = True
    ) -> Run:
        """Validate a request and begin its text.

        identified: token ids and log probabilities are wanted. special: add the model's own first
        token. Raises Overloaded or Invalid.
        """
        began = time.monotonic()
        self._metrics.requests.inc()
        try:
            leave = self._admission.enter()
            try:
                job = await self._job(prompt, p, stream, identified, special)
            except BaseException:
                leave()
                raise
        except Refusal as refusal:
            self._metrics.failures.labels(refusal.kind).inc()
            raise
        self._metrics.input_length.observe(len(job.tokens))
        self._metrics.max_new.observe(job.max_new_tokens)
        return Run(job, self._counted(job, began), leave)

    async def _job(
        self, prompt: str, p: Parameters, stream: bool, identified: bool, special: bool
    ) -> Job:
        if not prompt:
            raise Invalid("`inputs` cannot be empty")
        check(p, self.limits, stream=stream)
        if self._end is None:
            self._end = await self.model.end_of_text()
        tokens = await self.model.token_ids(prompt, special=special)
        return fit(prompt, tokens, p, self.limits, identified=identified)

    async def _counted(self, job: Job, began: float) -> AsyncGenerator[Step, None]:
        """The steps of a job, its slot taken before and given back after."""
        queued = time.monotonic()
        free = await self._admission.slot(len(job.tokens) + job.max_new_tokens)
        started = time.monotonic()
        self._metrics.queue.observe(started - queued)
        self._metrics.batch_size.inc()

        def freed() -> None:
            self._metrics.batch_size.dec()
            free()

        try:
            async with aclosing(self._steps(job, freed)) as steps:
                async for step in steps:
                    if step.finish:
                        self._count(step.finish.generated, began, started)
                    yield step
        except Refusal as refusal:
            self._metrics.failures.labels(refusal.kind).inc()
            raise

    def _count(self, generated: int, began: float, started: float) -> None:
        """Count a text that is complete."""
        now = time.monotonic()
        self._metrics.successes.inc()
        self._metrics.duration.observe(now - began)
        self._metrics.inference.observe(now - started)
        self._metrics.generated.observe(generated)
        self._metrics.per_token.observe((now - started) / max(generated, 1))

    async def _steps(self, job: Job, freed: Callable[[], None]) -> AsyncGenerator[Step, None]:
        """Turn the model's chunks into steps, the last of which says how the text ended."""
        watch, text, held, generated = StopWatch(job.stop), "", None, 0
        async with aclosing(self.model.chunks(job, freed)) as chunks:
            async for chunk in chunks:
                generated = chunk.generated or generated
                if chunk.finish:
                    self._metrics.cached.observe(chunk.cached)
                    reason = "length" if chunk.finish == "length" else "eos_token"
                    last = held or self._ending()
                    yield Step(last.token, last.top, Finish(reason, text, generated))
                    return
                if not chunk.text and chunk.logprob is None:
                    continue
                shown, stopped = watch.feed(chunk.text)
                if job.schema and not text.strip() and shown.strip()[:1] not in ("", "{"):
                    raise Failed("the grammar could not be applied")
                text += shown
                step = self._step(chunk, shown, job.top_tokens)
                if stopped:
                    self._metrics.cached.observe(chunk.cached)
                    yield Step(step.token, step.top, Finish("stop_sequence", text, generated))
                    return
                if step.token.special or generated >= job.max_new_tokens:
                    held = step  # the last one: it waits for the word on how the text ended
                else:
                    yield step
        raise Incomplete

    def _ending(self) -> Step:
        """The step of a token that ends a text and was not told."""
        assert self._end is not None
        return Step(Token(self._end.id, self._end.text, special=True))

    def _step(self, chunk: Chunk, shown: str, top: int) -> Step:
        """A chunk as a step."""
        if chunk.logprob is None:
            return Step(Token(0, shown))
        named = chunk.logprob
        special = not chunk.text and not named["bytes"]
        token = Token(named["id"], self._text(named["id"], shown), named["logprob"], special)
        nearest = tuple(
            Token(n["id"], self._text(n["id"], n["token"]), n["logprob"], not n["bytes"])
            for n in named["top_logprobs"][:top]
        )
        return Step(token, nearest)

    def _text(self, token: int, text: str) -> str:
        """A token's text; the one that ends a text has one too, though it is not shown."""
        assert self._end is not None
        return self._end.text if token == self._end.id and not text else text
