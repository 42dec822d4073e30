"""Trying code: it runs in the sandbox with the checks and tests at hand, and what was seen is kept.

`code_harness.py` is the program that runs inside. Start reading at `tried`.
"""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from agents.code_request import Given
from llmasos.sandbox import SandboxResult
from llmasos.turn import Turn

HARNESS = Path(__file__).with_name("code_harness.py")
SHOWN = 600
"""Characters of an error that are shown."""


@dataclass(frozen=True)
class Trial:
    """What was seen when code ran."""

    failed: tuple[tuple[str, str], ...]
    """The checks that it did not pass, each with what was seen instead."""
    checks: int
    """How many checks there were."""
    error: str
    """Why it did not run to its end; empty when it did."""
    output: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether it ran, and passed every check."""
        return not self.error and not self.failed

    @property
    def score(self) -> int:
        """How well it did, to compare two trials of the same request."""
        return -1 if self.error else self.checks - len(self.failed)

    @property
    def problem(self) -> str:
        """What went wrong, for the model that repairs it."""
        if self.error:
            return self.error
        return "\n".join(f"{check} fails: {seen}" for check, seen in self.failed[:5])


def tried(turn: Turn, code: str, given: Given) -> Trial:
    """Run code, then its checks and tests. Raises SandboxUnavailable where nothing can be run."""
    mark = secrets.token_hex(8)
    result = turn.sandbox.run(
        {
            **given.files,
            **given.tests,
            "main.py": code,
            "checks.json": json.dumps({"checks": given.checks, "tests": list(given.tests)}),
            "run.py": HARNESS.read_text(),
        },
        ["python3", "run.py", mark, given.module],
        checkpoint=turn.checkpoint,
    )
    output, _, verdicts = result.stdout.rpartition(mark)
    if mark not in result.stdout:
        return Trial((), 0, why(result), result.stdout[:SHOWN], result.seconds)
    seen = json.loads(verdicts)
    failed = tuple((check, words) for check, words in seen if words is not None)
    return Trial(failed, len(seen), "", output.strip()[:SHOWN], result.seconds)


def why(result: SandboxResult) -> str:
    """Why code did not run to its end."""
    limits = {
        "time": "it did not end in time",
        "memory": "it used too much memory",
        "processes": "it started too many processes",
        "output": "it wrote too much output",
        "files": "it made too many files",
    }
    if result.killed_by:
        return limits[result.killed_by]
    return result.stderr.strip()[-SHOWN:] or f"it ended with exit code {result.exit_code}"
