"""The code agent: writes Python, tries versions in the sandbox, and says what was run and seen.

Code that was not run is called untested, code that fails is said to fail. How versions are found
is in `code_search.py`. Start at `answer`.
"""

from collections.abc import Iterator, Sequence

from agents.code_patch import Placed, patch, placed
from agents.code_request import Given, given_in
from agents.code_search import PYTHON, Effort, Search, Version
from agents.code_trial import Trial
from llmasos.agent import Agent, Emitted, prompt
from llmasos.errors import SandboxUnavailable
from llmasos.events import Artifact, Reply
from llmasos.flow import prompt_of
from llmasos.generation import Options
from llmasos.language.phrases import say
from llmasos.turn import Turn

SUFFIXES = {"javascript": "js", "typescript": "ts", "bash": "sh", "rust": "rs"}
"""Endings of files whose language is named otherwise."""
UNKNOWN = "txt"
EFFORT = Effort()


def answer(turn: Turn) -> Iterator[Emitted]:
    """Write code for a message, try it, and reply with both."""
    yield turn.status(say("code_writing", turn.text))
    search = Search(turn, given_in(turn.text, turn.attachments), prompt_of(turn), EFFORT)
    language, code = search.first()
    if not code:
        yield Reply(text=say("code_none", turn.text), confidence=0.0)
        return
    if language not in PYTHON:
        seen = say("code_foreign", turn.text, language=language)
        yield Reply(
            text=_shown(language, code, seen), artifacts=(_file(language, code),), confidence=0.3
        )
        return
    try:
        versions, given = yield from search.searched(code)
    except SandboxUnavailable as error:
        seen = say("code_untested", turn.text, reason=error.message())
        yield _python(placed(search.given.files, code), search.given, seen, 0.3)
        return
    best = versions[0]
    seen = _seen(turn, versions, given)
    yield _python(best.placed, given, seen, _confidence(best.trial, given))


def _python(placed: Placed, given: Given, seen: str, confidence: float) -> Reply:
    """The reply with Python code, or with the patch of the file that it changes."""
    if not placed.target:
        return Reply(
            text=_shown("python", placed.code, seen),
            artifacts=(_file("python", placed.code),),
            confidence=confidence,
        )
    name = placed.target
    difference = patch(name, given.files[name], placed.code)
    return Reply(
        text=_shown("diff", difference, seen),
        artifacts=(
            Artifact(name=f"{name}.patch", media_type="text/x-diff", text=difference),
            Artifact(name=name, media_type="text/x-python", text=placed.code),
        ),
        confidence=confidence,
    )


def _shown(language: str, code: str, seen: str) -> str:
    return f"```{language}\n{code.rstrip()}\n```\n\n{seen}"


def _file(language: str, code: str) -> Artifact:
    """Code in a language as a file."""
    if language in PYTHON:
        return Artifact(name="main.py", media_type="text/x-python", text=code)
    suffix = SUFFIXES.get(language, language if language.isalnum() else UNKNOWN)
    return Artifact(name=f"main.{suffix}", text=code)


def _seen(turn: Turn, versions: Sequence[Version], given: Given) -> str:
    """What was run and seen, in plain words."""
    told = _told(turn, versions[0].trial, given)
    if len(versions) > 1:
        told += "\n\n" + say("code_tried", turn.text, count=len(versions))
    return told


def _told(turn: Turn, trial: Trial, given: Given) -> str:
    if trial.error:
        return say("code_error", turn.text, error=trial.error)
    if not trial.checks:
        text = say("code_ran", turn.text, seconds=f"{trial.seconds:.1f}")
        return f"{text}\n```\n{trial.output}\n```" if trial.output else text
    counts = {"passed": trial.checks - len(trial.failed), "checks": trial.checks}
    if given.own and trial.passed:
        lines = [f"- `{check}`" for check in given.checks]
        return "\n".join([say("code_own_passed", turn.text, **counts), *lines])
    what = _what(turn, given)
    if trial.passed:
        return say("code_passed", turn.text, what=what, seconds=f"{trial.seconds:.1f}", **counts)
    lines = [f"- `{check}`: {seen}" for check, seen in trial.failed]
    phrase = "code_own_failed" if given.own else "code_failed"
    return "\n".join([say(phrase, turn.text, what=what, **counts), *lines])


def _what(turn: Turn, given: Given) -> str:
    """What code was run on."""
    names = ", ".join(f"`{name}`" for name in given.tests)
    if not given.tests:
        return say("code_by_examples", turn.text)
    return say("code_by_both" if given.checks else "code_by_tests", turn.text, names=names)


def _confidence(trial: Trial, given: Given) -> float:
    if trial.error or (trial.failed and not given.own):
        return 0.1
    if not trial.checks or trial.failed:
        return 0.5
    return 0.7 if given.own else 0.95


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
