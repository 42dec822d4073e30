"""Writing tests for code: the model writes them, and they are run against the code.

Start reading at `tests_written`.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from agents.code_request import Given, block_of
from agents.code_tasks import Source
from agents.code_trial import Trial, tried
from llmasos.agent import Emitted, prompt
from llmasos.errors import SandboxUnavailable
from llmasos.events import Artifact, Reply
from llmasos.flow import prompt_of
from llmasos.generation import Message
from llmasos.language.phrases import say
from llmasos.prompting import sampling
from llmasos.turn import Turn

TESTS = prompt(__package__, "code_generation_tests.md")
TEMPERATURES = (0.0, 0.4, 0.8)
"""Of the tries to write tests that run and pass."""


def tests_written(turn: Turn, source: Source) -> Iterator[Emitted]:
    """Tests for code, and what came of running them against it."""
    yield turn.status(say("code_checking", turn.text))
    module = PurePosixPath(source.name).stem or "main"
    best: tuple[str, Trial] | None = None
    for temperature in TEMPERATURES:
        text = _written(turn, module, temperature)
        if not text or (best and best[0] == text):
            continue
        try:
            trial = _tried(turn, source, module, text)
        except SandboxUnavailable as error:
            seen = say("code_untested", turn.text, reason=error.message())
            yield _reply(module, text, seen, 0.3)
            return
        if best is None or _passed(trial) > _passed(best[1]):
            best = text, trial
        if trial.passed and trial.checks:
            break
    if best is None:
        yield Reply(text=say("code_none", turn.text), confidence=0.0)
        return
    text, trial = best
    yield _reply(module, text, _seen(turn, trial), 0.9 if trial.passed and trial.checks else 0.3)


def _written(turn: Turn, module: str, temperature: float) -> str:
    """Tests that the model writes; empty when they are no Python."""
    messages = prompt_of(turn, TESTS)
    asked = Message(role="user", content=f"{messages[-1].content}\n\nThe module is `{module}`.")
    options = turn.agent.options.merged({"temperature": temperature, "seed": 1})
    text = turn.llm.chat([*messages[:-1], asked], **sampling(options))
    turn.checkpoint()
    language, code = block_of(text)
    return code if language in ("python", "py", "python3") else ""


def _tried(turn: Turn, source: Source, module: str, text: str) -> Trial:
    return tried(turn, source.text, Given(tests={f"test_{module}.py": text}, module=module))


def _passed(trial: Trial) -> int:
    return -1 if trial.error else trial.checks - len(trial.failed)


def _seen(turn: Turn, trial: Trial) -> str:
    """What came of the run, in plain words."""
    if trial.error:
        return say("code_error", turn.text, error=trial.error)
    if not trial.checks:
        return say("code_tests_none", turn.text)
    counts = {"passed": trial.checks - len(trial.failed), "checks": trial.checks}
    if trial.passed:
        return say("code_tests_passed", turn.text, **counts)
    lines = [f"- `{name}`: {seen}" for name, seen in trial.failed]
    return "\n".join([say("code_tests_failed", turn.text, **counts), *lines])


def _reply(module: str, text: str, seen: str, confidence: float) -> Reply:
    file = Artifact(name=f"test_{module}.py", media_type="text/x-python", text=text)
    return Reply(
        text=f"```python\n{text.rstrip()}\n```\n\n{seen}", artifacts=(file,), confidence=confidence
    )
