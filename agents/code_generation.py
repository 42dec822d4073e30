"""The code agent: writes Python, runs it in the sandbox, repairs it once, and says what was seen.

Code that was not run is called untested, code that fails is said to fail. Start at `answer`.
"""

from collections.abc import Iterator

from agents.code_request import block_of, checks_in, named_as_asked
from agents.code_trial import Trial, tried
from llmasos.agent import Agent, Emitted, prompt
from llmasos.errors import SandboxUnavailable
from llmasos.events import Artifact, Reply
from llmasos.flow import prompt_of
from llmasos.generation import Message, Options
from llmasos.language.phrases import say
from llmasos.prompting import budget, sampling, shortened
from llmasos.turn import Turn

PYTHON = ("python", "py", "python3")
SUFFIXES = {"javascript": "js", "typescript": "ts", "bash": "sh", "rust": "rs"}
"""Endings of files whose language is named otherwise."""
UNKNOWN = "txt"


def answer(turn: Turn) -> Iterator[Emitted]:
    """Write code for a message, try it, and reply with both."""
    yield turn.status(say("code_writing", turn.text))
    messages = prompt_of(turn)
    language, code = _written(turn, messages)
    if not code:
        yield Reply(text=say("code_none", turn.text), confidence=0.0)
        return
    if language not in PYTHON:
        yield _reply(turn, language, code, say("code_foreign", turn.text, language=language), 0.3)
        return
    checks = checks_in("\n".join([turn.text, *(each.text for each in turn.attachments)]))
    try:
        yield turn.status(say("code_running", turn.text))
        code = named_as_asked(code, checks)
        trial = tried(turn, code, checks)
        if not trial.passed:
            yield turn.status(say("code_repairing", turn.text))
            code, trial = _repaired(turn, messages, code, checks, trial)
    except SandboxUnavailable as error:
        seen = say("code_untested", turn.text, reason=error.message())
        yield _reply(turn, language, code, seen, 0.3)
        return
    yield _reply(turn, language, code, _seen(turn, trial), _confidence(trial))


def _written(turn: Turn, messages: list[Message]) -> tuple[str, str]:
    """Language and code that the model writes; it is stopped when the block ends."""
    text = ""
    stream = turn.llm.stream_chat(messages, **sampling(turn.agent.options))
    for piece in stream:
        turn.checkpoint()
        text += piece
        if text.count("```") >= 2:
            break
    return block_of(text)


def _repaired(
    turn: Turn, messages: list[Message], code: str, checks: list[str], trial: Trial
) -> tuple[str, Trial]:
    """One more try with the error in view; the better of the two."""
    room = budget(turn.llm, turn.agent.options) // 2
    problem = shortened(f"This code fails:\n{code}\n{trial.problem}", room, turn.llm)
    asked = f"{problem}\n\nThe request was: {messages[-1].content}\n\nWrite the corrected code."
    again = Message(role="user", content=shortened(asked, 2 * room, turn.llm))
    language, better = _written(turn, [*messages[:1], again])
    if language not in PYTHON or better == code:
        return code, trial
    better = named_as_asked(better, checks)
    second = tried(turn, better, checks)
    return (better, second) if second.score > trial.score else (code, trial)


def _seen(turn: Turn, trial: Trial) -> str:
    """What was run and seen, in plain words."""
    if trial.error:
        return say("code_error", turn.text, error=trial.error)
    if trial.failed:
        lines = "\n".join(f"- `{check}`: {seen}" for check, seen in trial.failed)
        passed = trial.checks - len(trial.failed)
        return say("code_failed", turn.text, passed=passed, checks=trial.checks) + "\n" + lines
    if trial.checks:
        return say("code_passed", turn.text, checks=trial.checks, seconds=f"{trial.seconds:.1f}")
    text = say("code_ran", turn.text, seconds=f"{trial.seconds:.1f}")
    return f"{text}\n```\n{trial.output}\n```" if trial.output else text


def _confidence(trial: Trial) -> float:
    if trial.error or trial.failed:
        return 0.1
    return 0.95 if trial.checks else 0.5


def _reply(turn: Turn, language: str, code: str, seen: str, confidence: float) -> Reply:
    suffix = (
        "py"
        if language in PYTHON
        else SUFFIXES.get(language, language if language.isalnum() else UNKNOWN)
    )
    return Reply(
        text=f"```{language}\n{code.rstrip()}\n```\n\n{seen}",
        artifacts=(
            Artifact(
                name=f"main.{suffix}",
                media_type="text/x-python" if suffix == "py" else "text/plain",
                text=code,
            ),
        ),
        confidence=confidence,
    )


code_generation = Agent(
    name="code_generation",
    description="Writes Python code and runs it in a sandbox with the examples of the request.",
    instructions=prompt(__package__, "code_generation.md"),
    examples=[
        "Write a Python function that reverses a string.",
        "Write a function is_prime(n). is_prime(7) == True",
        "Implement a script that parses a CSV file.",
        "用 Python 写一个计算斐波那契数列的函数",
    ],
    options=Options(max_new_tokens=400),
    flow=answer,
)
