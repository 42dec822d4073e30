"""Generating a text: validate, wait for a slot, run the model, watch for the end.

Between the routes, which know HTTP, and `text_model.py`, behind which the model is. Start reading
at `Texts.start`.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace

from llmasos.engine.admission import Admission
from llmasos.engine.grammars import Follower
from llmasos.engine.metrics import Metrics
from llmasos.engine.refusals import Failed, Incomplete, Invalid, Refusal
from llmasos.engine.schemas import Parameters
from llmasos.engine.stopping import StopWatch
from llmasos.engine.text_model import Chunk, Job, TextModel, Token
from llmasos.engine.validation import Limits, another, check, fit


@dataclass(frozen=True, slots=True)
class Finish:
    """How a text ended. reason: `length`, `eos_token` or `stop_sequence`."""

    reason: str
    text: str
    generated: int


@dataclass(frozen=True, slots=True)
class Step:
    """One token; the last one carries the finish."""

    token: Token
    top: tuple[Token, ...] = ()
    finish: Finish | None = None


@dataclass(slots=True)
class Times:
    """When what happened to a text, in seconds of a clock that only goes forward."""

    began: float
    validated: float
    started: float = 0.0
    ended: float = 0.0


class Run:
    """A text that is being generated; must be closed, however it ends.

    prefill: the prompt's own tokens, if the job asks for them, known before the first step.
    """

    def __init__(
        self,
        job: Job,
        times: Times,
        steps: Callable[["Run"], AsyncGenerator[Step, None]],
        leave: Callable[[], None],
    ) -> None:
        self.job, self.times = job, times
        self.prefill: list[Token] = []
        self._steps, self._leave = steps(self), leave

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
        self, model: TextModel, admission: Admission, limits: Limits, metrics: Metrics
    ) -> None:
        self.model, self.limits = model, limits
        self._admission, self._metrics = admission, metrics

    @contextmanager
    def requested(self) -> Iterator[None]:
        """Around what comes before `start`: a request that is refused in it is counted."""
        try:
            yield
        except Refusal as refusal:
            self._metrics.requests.inc()
            self._metrics.failures.labels(refusal.kind).inc()
            raise

    async def start(
        self, prompt: str, p: Parameters, *, stream: bool, identified: bool, special: bool = True
    ) -> Run:
        """Validate a request and begin its text.

        identified: token ids and log probabilities are wanted. special: add the model's own first
        token. Raises Overloaded or Invalid.
        """
        runs = await self.start_all(
            prompt, p, stream=stream, identified=identified, special=special
        )
        return runs[0]

    async def start_all(
        self, prompt: str, p: Parameters, *, stream: bool, identified: bool, special: bool = True
    ) -> list[Run]:
        """Begin as many texts as `best_of` says; they count as one request, for the first of them.

        The arguments are those of `start`. Raises Overloaded or Invalid.
        """
        began = time.monotonic()
        self._metrics.requests.inc()
        permits: list[Callable[[], None]] = []
        try:
            check(p, self.limits, stream=stream)
            permits += [self._admission.enter() for _ in range(p.best_of or 1)]
            job = await self._job(prompt, p, identified=identified, special=special)
        except BaseException as error:
            for leave in permits:
                leave()
            if isinstance(error, Refusal):
                self._metrics.failures.labels(error.kind).inc()
            raise
        times = Times(began, time.monotonic())
        self._metrics.taken(job, times.validated - began)
        first, *others = permits
        copies = [Run(another(job), replace(times), self._stepping, leave) for leave in others]
        return [Run(job, times, self._counted, first), *copies]

    async def _job(self, prompt: str, p: Parameters, *, identified: bool, special: bool) -> Job:
        if not prompt:
            raise Invalid("`inputs` cannot be empty")
        tokens = await self.model.token_ids(prompt, special=special)
        return fit(tokens, p, self.limits, identified=identified)

    async def _counted(self, run: Run) -> AsyncGenerator[Step, None]:
        """A run's steps; what becomes of it is counted."""
        try:
            async with aclosing(self._stepping(run)) as steps:
                async for step in steps:
                    if step.finish:
                        self._metrics.answered(run.times, step.finish.generated)
                    yield step
        except Refusal as refusal:
            self._metrics.failures.labels(refusal.kind).inc()
            raise

    async def _stepping(self, run: Run) -> AsyncGenerator[Step, None]:
        """A run's steps, its slot taken before and given back after."""
        job, times = run.job, run.times
        room = len(job.tokens) + job.max_new_tokens
        free = await self._admission.slot(room)
        times.started = time.monotonic()
        self._metrics.begun(room)

        def freed() -> None:
            self._metrics.ended(room)
            free()

        if job.prefill:
            try:
                run.prefill = await self.model.prefill(job.tokens)
            except BaseException:
                freed()
                raise
        async with aclosing(self._steps(job, freed)) as steps:
            async for step in steps:
                if step.finish:
                    times.ended = time.monotonic()
                yield step

    async def _steps(self, job: Job, freed: Callable[[], None]) -> AsyncGenerator[Step, None]:
        """Turn the model's chunks into steps, the last of which says how the text ended."""
        watch, text, generated = StopWatch(job.stop), "", 0
        follower = Follower(job.grammar) if job.grammar else None
        held: Step | None = None  # maybe the last: it waits for the word on how the text ended
        async with aclosing(self.model.chunks(job, freed)) as chunks:
            async for chunk in chunks:
                token = chunk.token
                if token is None:
                    yield self._last(chunk, held, follower, text, generated)
                    return
                if held:
                    yield held
                    held = None
                generated += 1
                if token.special or not token.text:
                    held = Step(token, chunk.top)
                    continue
                piece, stopped = watch.feed(token.text)
                if follower and not follower.takes(piece):
                    raise Failed("the grammar could not be applied")
                text += piece
                shown = token if piece == token.text else replace(token, text=piece)
                if stopped:
                    self._metrics.cached.inc(chunk.cached)
                    yield Step(shown, chunk.top, Finish("stop_sequence", text, generated))
                    return
                if generated >= job.max_new_tokens:
                    held = Step(shown, chunk.top)
                else:
                    yield Step(shown, chunk.top)
        raise Incomplete

    def _last(
        self, chunk: Chunk, held: Step | None, follower: Follower | None, text: str, generated: int
    ) -> Step:
        """The last step, of a token that was held back for this word of how the text ended."""
        self._metrics.cached.inc(chunk.cached)
        reason = chunk.finish
        if held is None or reason is None:
            raise Incomplete
        if follower and reason == "eos_token" and not follower.complete():
            raise Failed("the grammar could not be applied")
        return Step(held.token, held.top, Finish(reason, text, generated))
