"""Reviewing a diff: findings with file and line, each line held against the diff's hunks.

The model reads the diff with its line numbers, some hunks at a time, and answers in a form; what it
says of a line that the diff does not show is left out. Start reading at `reviewed`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from llmasos.agent import Emitted, prompt
from llmasos.errors import AnswerCut, AnswerUnfit
from llmasos.events import Reply, Token
from llmasos.generation import Message
from llmasos.guards import quoted
from llmasos.language.phrases import say
from llmasos.prompting import PER_MESSAGE, budget, sampling
from llmasos.turn import Turn

REVIEW = prompt(__package__, "code_generation_review.md")
MOST_PARTS = 8
"""Parts of a diff that are read; the reply says what was not."""
_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")


class Finding(BaseModel):
    """Something to change."""

    file: Annotated[str, Field(max_length=200)]
    line: Annotated[int, Field(ge=1)]
    severity: Literal["bug", "risk", "style"]
    problem: Annotated[str, Field(min_length=3, max_length=300)]
    """What is wrong and what to do instead."""


class Findings(BaseModel):
    """All that was found in a part of a diff."""

    findings: Annotated[list[Finding], Field(max_length=10)]


@dataclass(frozen=True)
class Hunk:
    """A stretch of changed lines of one file."""

    file: str
    lines: dict[int, str] = field(default_factory=dict)
    """The lines as they are after the change, by number."""
    shown: list[str] = field(default_factory=list)
    """All lines as the model reads them: number, mark, text."""

    @property
    def text(self) -> str:
        """What the model reads."""
        return "\n".join([self.file, *self.shown])


def hunks_of(diff: str) -> list[Hunk]:
    """The hunks of a unified diff."""
    hunks: list[Hunk] = []
    file, number, left = "", 0, 0
    for line in diff.splitlines():
        if left <= 0 and line.startswith("+++ "):
            file = line[4:].partition("\t")[0].strip().removeprefix("b/")
        elif found := _HUNK.match(line):
            number, left = int(found.group(1)), int(found.group(2) or 1)
            hunks.append(Hunk(file))
        elif hunks and line[:1] == "-" and not line.startswith("--- "):
            hunks[-1].shown.append(f"     - {line[1:]}")
        elif hunks and left > 0 and line[:1] in ("+", " ", ""):
            hunks[-1].lines[number] = line[1:]
            hunks[-1].shown.append(f"{number:>5}{line[:1] or ' '} {line[1:]}")
            number, left = number + 1, left - 1
    return [each for each in hunks if each.shown]


def reviewed(turn: Turn, diff: str) -> Iterator[Emitted]:
    """The findings in a diff, each with its file and line."""
    yield turn.status(say("code_reviewing", turn.text))
    hunks = hunks_of(diff)
    parts = list(_parts(turn, hunks))
    found: list[Finding] = []
    unread = {part.file for part in parts[MOST_PARTS:]}
    for part in parts[:MOST_PARTS]:
        turn.checkpoint()
        try:
            found += _findings(turn, part)
        except (AnswerUnfit, AnswerCut):
            unread.add(part.file)
    lines = {(hunk.file, number): text for hunk in hunks for number, text in hunk.lines.items()}
    told = {(each.file, each.line, each.problem): each for each in found}
    kept = [each for each in told.values() if (each.file, each.line) in lines]
    text = _told(turn, sorted(kept, key=lambda each: (each.file, each.line)), lines)
    if len(told) > len(kept):
        text += "\n\n" + say("code_review_dropped", turn.text, count=len(told) - len(kept))
    if unread:
        text += "\n\n" + say("code_review_unread", turn.text, files=", ".join(sorted(unread)))
    yield Token(text=text)
    yield Reply(text=text)


def _parts(turn: Turn, hunks: Sequence[Hunk]) -> Iterator[Hunk]:
    """The hunks, each in as many pieces as it takes for the model to read one."""
    room = budget(turn.llm, turn.agent.options) - 2 * PER_MESSAGE
    room -= turn.llm.count_tokens(REVIEW)
    waiting = list(hunks)
    while waiting:
        hunk = waiting.pop(0)
        half = len(hunk.shown) // 2
        if half and turn.llm.count_tokens(hunk.text) > room:
            halves = (hunk.shown[:half], hunk.shown[half:])
            waiting[:0] = [Hunk(hunk.file, hunk.lines, shown) for shown in halves]
        else:
            yield hunk


def _findings(turn: Turn, part: Hunk) -> list[Finding]:
    """What the model finds in a piece. Raises AnswerUnfit or AnswerCut."""
    messages = [
        Message(role="system", content=REVIEW),
        Message(role="user", content=quoted(part.text, "diff")),
    ]
    return turn.llm.chat(messages, schema=Findings, **sampling(turn.agent.options)).findings


def _told(turn: Turn, found: Sequence[Finding], lines: dict[tuple[str, int], str]) -> str:
    """The findings as a list, each with the line that it is about."""
    if not found:
        return say("code_review_none", turn.text)
    told = [
        f"- `{each.file}:{each.line}` **{each.severity}**: {each.problem.strip()}\n"
        f"  `{lines[each.file, each.line].strip()}`"
        for each in found
    ]
    return "\n".join([say("code_review_found", turn.text, count=len(found)), *told])
