"""Generating a text: validate, wait for a slot, run the model, count what becomes of it.

Between the routes, which know HTTP, and `text_model.py`, behind which the model is; `reading.py`
makes steps of what that says. Start reading at `Texts.start`.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace

from llmasos.engine.admission import Admission
from llmasos.engine.metrics import Metrics
from llmasos.engine.reading import Finish, Reading, Step
from llmasos.engine.refusals import Incomplete, Invalid, Refusal
from llmasos.engine.schemas import Parameters
from llmasos.engine.text_model import Job, TextModel, Token
from llmasos.engine.validation import Limits, another, check, fit


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
    counted: whether what becomes of it counts as what became of a request.
    """

    def __init__(
        self,
        job: Job,
        times: Times,
        steps: Callable[["Run"], AsyncGenerator[Step, None]],
        leave: Callable[[], None],
        *,
        counted: bool = False,
    ) -> None:
        self.job, self.times, self.counted = job, times, counted
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
        copies = [Run(another(job), replace(times), self._steps, leave) for leave in others]
        return [Run(job, times, self._steps, first, counted=True), *copies]

    async def _job(self, prompt: str, p: Parameters, *, identified: bool, special: bool) -> Job:
        if not prompt:
            raise Invalid("`inputs` cannot be empty")
        tokens = await self.model.token_ids(prompt, special=special)
        return fit(tokens, p, self.limits, identified=identified)

    async def _steps(self, run: Run) -> AsyncGenerator[Step, None]:
        """A run's steps, its slot taken before and given back after."""
        job = run.job
        try:
            freed = await self._slot(job, run.times)
            try:
                reading = Reading(job)
                if job.prefill:
                    run.prefill = await self.model.prefill(job.tokens)
            except BaseException:
                freed()
                raise
            async with aclosing(self.model.chunks(job, freed)) as chunks:
                async for chunk in chunks:
                    for step in reading.take(chunk):
                        if step.finish:
                            self._finished(run, step.finish, chunk.cached)
                            yield step
                            return
                        yield step
            raise Incomplete
        except Refusal as refusal:
            if run.counted:
                self._metrics.failures.labels(refusal.kind).inc()
            raise

    async def _slot(self, job: Job, times: Times) -> Callable[[], None]:
        """Wait for a slot; the result gives it back."""
        room = len(job.tokens) + job.max_new_tokens
        free = await self._admission.slot(room)
        times.started = time.monotonic()
        self._metrics.begun(room)

        def freed() -> None:
            self._metrics.ended(room)
            free()

        return freed

    def _finished(self, run: Run, finish: Finish, cached: int) -> None:
        """Count a text that is complete."""
        run.times.ended = time.monotonic()
        self._metrics.cached.inc(cached)
        if run.counted:
            self._metrics.answered(run.times, finish.generated)
