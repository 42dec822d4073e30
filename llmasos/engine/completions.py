"""Going on from several prompts at the same time.

Between `completion_routes.py`, which knows how answers are written, and `texts.py`, which
generates.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from llmasos.engine.chat_schemas import CompletionRequest
from llmasos.engine.openai_parameters import completion_parameters
from llmasos.engine.reading import Step
from llmasos.engine.texts import Run, Texts


class Completions:
    """Texts that are generated side by side; must be closed, however they end."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs
        self._following: dict[asyncio.Future[Step], int] = {}

    @classmethod
    async def start(cls, texts: Texts, body: CompletionRequest) -> "Completions":
        """Validate all prompts and begin them, or none. Raises a Refusal."""
        with texts.requested():
            parameters = completion_parameters(body)
        runs: list[Run] = []
        try:
            for prompt in body.prompts:
                run = await texts.start(prompt, parameters, stream=body.stream, identified=False)
                runs.append(run)
        except BaseException:
            await cls(runs).close()
            raise
        return cls(runs)

    async def close(self) -> None:
        """Stop those that still run."""
        for following in self._following:
            following.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        for run in self._runs:
            await run.close()

    async def steps(self) -> AsyncGenerator[tuple[int, Step], None]:
        """The steps of all as they come, each with its prompt's place. Raises a Refusal."""
        each = [aiter(run) for run in self._runs]
        for index, steps in enumerate(each):
            self._following[asyncio.ensure_future(anext(steps))] = index
        while self._following:
            done, _ = await asyncio.wait(self._following, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                index = self._following.pop(future)
                step = future.result()
                if not step.finish:
                    self._following[asyncio.ensure_future(anext(each[index]))] = index
                yield index, step

    def prompt_tokens(self, index: int) -> int:
        """The tokens of a prompt, by its place."""
        return len(self._runs[index].job.tokens)
