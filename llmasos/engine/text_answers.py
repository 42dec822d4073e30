"""What TGI's own routes answer: texts and their details, events, headers.

Pure; between `texts.py`, which makes the texts, and `text_routes.py`, which sends them.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from llmasos.engine.edge import event
from llmasos.engine.reading import Finish, Step
from llmasos.engine.schemas import GenerateRequest
from llmasos.engine.text_model import TextToken, Token
from llmasos.engine.texts import Run

NO_ID = 0
"""What TGI's answers say of a token whose id the model did not tell."""


@dataclass(frozen=True)
class Whole:
    """A text that is complete. steps: its tokens, the last with the finish."""

    run: Run
    steps: Sequence[Step]
    finish: Finish

    @property
    def likelihood(self) -> float:
        """The mean log probability of its tokens."""
        known = [s.token.logprob for s in self.steps if s.token.logprob is not None]
        return fmean(known) if known else float("-inf")


async def whole(run: Run) -> Whole:
    """Wait for a text."""
    steps = [step async for step in run]
    finish = steps[-1].finish
    assert finish is not None
    return Whole(run, steps, finish)


def generated(texts: Sequence[Whole], body: GenerateRequest) -> dict[str, Any]:
    """The answer of `/generate`: the likeliest of these texts, the others in its details."""
    best = max(texts, key=lambda text: text.likelihood)
    answer: dict[str, Any] = {"generated_text": _shown(best.finish, body)}
    if body.parameters.details:
        prefill = [_prompt_token(token) for token in texts[0].run.prefill]
        others = [
            {"generated_text": _shown(text.finish, body), **_details(text, prefill)}
            for text in texts
            if text is not best
        ]
        answer["details"] = {**_details(best, prefill), "best_of_sequences": others or None}
    return answer


def headers(text: Whole, body: GenerateRequest) -> dict[str, str]:
    """TGI's headers about one text; times in milliseconds."""
    times, tokens = text.run.times, text.finish.generated
    inference = times.ended - times.started
    milliseconds = {
        "x-total-time": times.ended - times.began,
        "x-validation-time": times.validated - times.began,
        "x-queue-time": times.started - times.validated,
        "x-inference-time": inference,
        "x-time-per-token": inference / max(tokens, 1),
    }
    return {
        "x-compute-type": "cpu",
        "x-compute-time": f"{times.ended - times.began:.3f}",
        "x-compute-characters": str(len(body.inputs)),
        "x-prompt-tokens": str(len(text.run.job.tokens)),
        "x-generated-tokens": str(tokens),
        **{name: str(round(1000 * seconds)) for name, seconds in milliseconds.items()},
    }


async def events(run: Run, body: GenerateRequest) -> AsyncGenerator[bytes, None]:
    """The events of `/generate_stream`; the last one has the whole text and the details."""
    index = 0
    async for step in run:
        index += 1
        plain: dict[str, Any] = {
            "index": index,
            "token": rated(step.token),
            "generated_text": None,
            "details": None,
        }
        if run.job.top_tokens:
            plain["top_tokens"] = [rated(token) for token in step.top]
        if step.finish:
            plain["generated_text"] = _shown(step.finish, body)
            plain["details"] = {
                "finish_reason": step.finish.reason,
                "generated_tokens": step.finish.generated,
                "seed": run.job.seed,
                "input_length": len(run.job.tokens),
            }
        yield event(plain)


def simple(token: TextToken) -> dict[str, Any]:
    """A text's token as TGI writes it."""
    return {"id": token.id, "text": token.text, "start": token.start, "stop": token.stop}


def rated(token: Token) -> dict[str, Any]:
    """A generated token as TGI writes it."""
    return {
        "id": NO_ID if token.id is None else token.id,
        "text": token.text,
        "logprob": token.logprob,
        "special": token.special,
    }


def _prompt_token(token: Token) -> dict[str, Any]:
    return {"id": token.id, "text": token.text, "logprob": token.logprob}


def _details(text: Whole, prefill: list[dict[str, Any]]) -> dict[str, Any]:
    """All that there is to tell of one text."""
    details = {
        "finish_reason": text.finish.reason,
        "generated_tokens": text.finish.generated,
        "seed": text.run.job.seed,
        "prefill": prefill,
        "tokens": [rated(step.token) for step in text.steps],
    }
    if text.run.job.top_tokens:
        details["top_tokens"] = [[rated(token) for token in step.top] for step in text.steps]
    return details


def _shown(finish: Finish, body: GenerateRequest) -> str:
    """The text, behind its prompt if that is asked for."""
    return body.inputs + finish.text if body.parameters.return_full_text else finish.text
