"""Converting code: both programs are run where their toolchains are, and their outputs compared.

Start reading at `converted`.
"""

from collections.abc import Iterator

from agents.code_languages import executed, file_of, language_of, toolchain
from agents.code_request import block_of
from agents.code_tasks import Source
from agents.code_trial import why
from llmasos.agent import Emitted, prompt
from llmasos.errors import SandboxUnavailable
from llmasos.events import Artifact, Reply
from llmasos.flow import prompt_of
from llmasos.language.phrases import say
from llmasos.prompting import sampling
from llmasos.sandbox import SandboxResult
from llmasos.turn import Turn

CONVERT = prompt(__package__, "code_generation_convert.md")
TEMPERATURES = (0.0, 0.4, 0.8)
"""Of the tries to write a program that runs, and prints what the original does."""
SHOWN = 600
"""Characters of an output that are shown."""
Run = SandboxResult | None


def converted(turn: Turn, source: Source, target: str) -> Iterator[Emitted]:
    """A program in another language, and what came of running it and the original."""
    yield turn.status(say("code_writing", turn.text))
    try:
        before, refusal = _run(turn, source.language, source.text), ""
    except SandboxUnavailable as error:
        before, refusal = None, error.message()
    best: tuple[str, str, Run] | None = None
    for temperature in TEMPERATURES:
        language, code = _written(turn, temperature)
        if not code:
            continue
        after = None if refusal else _run(turn, language, code)
        if best is None or _worth(before, after) > _worth(before, best[2]):
            best = language, code, after
        if after is None or _worth(before, after) == _BEST:
            break
    if best is None:
        yield Reply(text=say("code_none", turn.text), confidence=0.0)
        return
    language, code, after = best
    seen = say("code_untested", turn.text, reason=refusal) if refusal else ""
    seen = seen or _seen(turn, language or target, before, after)
    yield Reply(
        text=f"```{language}\n{code.rstrip()}\n```\n\n{seen}",
        artifacts=(Artifact(name=file_of(language), text=code),),
        confidence=(0.1, 0.3, 0.5, 0.9)[_worth(before, after)],
    )


def _written(turn: Turn, temperature: float) -> tuple[str, str]:
    """Language and code that the model writes."""
    options = turn.agent.options.merged({"temperature": temperature, "seed": 1})
    text = turn.llm.chat(prompt_of(turn, CONVERT), **sampling(options))
    turn.checkpoint()
    word, code = block_of(text)
    return language_of(word, code), code


def _run(turn: Turn, language: str, code: str) -> Run:
    """A run of a program; None: it cannot be run here."""
    tools = toolchain(language)
    return executed(turn, language, code, tools) if tools else None


_BEST = 3


def _worth(before: Run, after: Run) -> int:
    """What a run shows: 0 it fails or differs, 1 nothing, 2 it runs, 3 it prints the same."""
    if after is None:
        return 1
    if not after.ok:
        return 0
    if before is None or not before.ok or not before.stdout.strip():
        return 2
    return _BEST if _printed(before) == _printed(after) else 0


def _seen(turn: Turn, language: str, before: Run, after: Run) -> str:
    """What was run and seen, in plain words."""
    if after is None:
        return say("code_foreign", turn.text, language=language)
    if not after.ok:
        return say("code_error", turn.text, error=why(after))
    worth = _worth(before, after)
    if worth == _BEST:
        return say("code_same", turn.text, output=_printed(after)[:SHOWN])
    if worth == 0 and before:
        outputs = {"before": _printed(before)[:SHOWN], "after": _printed(after)[:SHOWN]}
        return say("code_other", turn.text, **outputs)
    return say("code_ran_foreign", turn.text, seconds=f"{after.seconds:.1f}")


def _printed(run: SandboxResult) -> str:
    return "\n".join(line.rstrip() for line in run.stdout.strip().splitlines())
