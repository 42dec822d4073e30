"""The code agent: writes, explains, reviews, tests and converts code, knows a repository.

What is asked is told by `code_tasks.py`. What is written is run in the sandbox: code that was not
run is called untested, code that fails is said to fail. How versions of code are found is in
`code_search.py`. Start at `answer`.
"""

from collections.abc import Iterator, Sequence

from agents.code_convert import converted
from agents.code_languages import executed, file_of, language_of, named_in, toolchain
from agents.code_patch import Placed, patch, placed
from agents.code_repository import answered
from agents.code_request import Given, given_in
from agents.code_review import reviewed
from agents.code_search import Effort, Search, Version
from agents.code_tasks import task_of
from agents.code_tests import tests_written
from agents.code_trial import SHOWN, Trial, why
from llmasos.agent import Agent, Emitted, prompt
from llmasos.errors import SandboxUnavailable
from llmasos.events import Artifact, Reply
from llmasos.flow import converse, prompt_of
from llmasos.generation import Options
from llmasos.language.phrases import say
from llmasos.turn import Turn

EXPLAIN = prompt(__package__, "code_generation_explain.md")
OTHER = prompt(__package__, "code_generation_other.md")
EFFORT = Effort()


def answer(turn: Turn) -> Iterator[Emitted]:
    """Do with code what a message asks for."""
    task = task_of(turn.text, turn.attachments, indexed=bool(turn.agent.knowledge))
    match task.name:
        case "review":
            yield from reviewed(turn, task.diff)
        case "explain":
            yield from converse(turn, EXPLAIN)
        case "ask":
            yield from answered(turn)
        case "tests" if task.source and task.source.language == "python":
            yield from tests_written(turn, task.source)
        case "convert" if task.source:
            yield from converted(turn, task.source, task.language)
        case _:
            yield from written(turn)


def written(turn: Turn) -> Iterator[Emitted]:
    """Write code for a message, try it, and reply with both."""
    yield turn.status(say("code_writing", turn.text))
    other = named_in(turn.text, but="python") if "python" not in turn.text.lower() else ""
    messages = prompt_of(turn, OTHER if other else None)
    search = Search(turn, given_in(turn.text, turn.attachments), messages, EFFORT)
    word, code = search.first()
    if not code:
        yield Reply(text=say("code_none", turn.text), confidence=0.0)
        return
    language = language_of(word, code)
    try:
        if language != "python":
            yield from _other(turn, language, code)
            return
        versions, given = yield from search.searched(code)
    except SandboxUnavailable as error:
        seen = say("code_untested", turn.text, reason=error.message())
        if language != "python":
            yield _plain(language, code, seen, 0.3)
        else:
            yield _python(placed(search.given.files, code), search.given, seen, 0.3)
        return
    best = versions[0]
    seen = _seen(turn, versions, given)
    yield _python(best.placed, given, seen, _confidence(best.trial, given))


def _other(turn: Turn, language: str, code: str) -> Iterator[Emitted]:
    """Code in another language than Python, run if this machine can. Raises SandboxUnavailable."""
    tools = toolchain(language)
    if tools is None:
        seen = say("code_foreign", turn.text, language=language)
        yield _plain(language, code, seen, 0.3)
        return
    yield turn.status(say("code_running", turn.text))
    result = executed(turn, language, code, tools)
    if not result.ok:
        yield _plain(language, code, say("code_error", turn.text, error=why(result)), 0.1)
        return
    seen = say("code_ran_foreign", turn.text, seconds=f"{result.seconds:.1f}")
    if output := result.stdout.strip()[:SHOWN]:
        seen += f"\n```\n{output}\n```"
    yield _plain(language, code, seen, 0.5)


def _plain(language: str, code: str, seen: str, confidence: float) -> Reply:
    """The reply with code in any language."""
    return Reply(
        text=_shown(language, code, seen),
        artifacts=(
            Artifact(
                name=file_of(language),
                media_type="text/x-python" if language == "python" else "text/plain",
                text=code,
            ),
        ),
        confidence=confidence,
    )


def _python(placed: Placed, given: Given, seen: str, confidence: float) -> Reply:
    """The reply with Python code, or with the patch of the file that it changes."""
    if not placed.target:
        return _plain("python", placed.code, seen, confidence)
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
    description=(
        "Writes code and runs it in a sandbox with the examples of the request; explains, reviews, "
        "tests and converts code."
    ),
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
