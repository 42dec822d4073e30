"""Searching for code that passes: several versions, each tried in the sandbox, and the best kept.

The first is what the model finds likeliest. The next ones are sampled, or repairs with the error in
view, until one passes or the effort is spent. A function that the request begins is gone on with:
that costs few tokens, and a small model does it better than it follows instructions. Start reading
at `searched`.
"""

import ast
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from agents.code_patch import Placed, completed, placed
from agents.code_request import (
    Given,
    asserts_in,
    block_of,
    called_by,
    definitions_in,
    header_in,
    named_as_asked,
    parses,
)
from agents.code_trial import Trial, tried
from llmasos.agent import prompt
from llmasos.events import Status
from llmasos.generation import Message, Options, Sampling
from llmasos.language.phrases import say
from llmasos.prompting import budget, sampling, shortened
from llmasos.turn import Turn

PYTHON = ("python", "py", "python3")
CHECKS = prompt(__package__, "code_generation_checks.md")
CHECK_TOKENS = 200
"""Tokens of the checks that the agent writes itself."""
FEWEST = 32
"""Tokens below which no further version is begun."""
NEXT_THING = ("\n#", "\nprint", "\ndef", "\n```")
"""What a model goes on with after a function, as a rule."""
FIRST_TRIES = 2
"""Versions that are sampled when the first answer has no code."""
Step = Literal["ask", "continue", "repair", "sample"]


@dataclass(frozen=True)
class Effort:
    """What one request may cost beyond the first version."""

    steps: tuple[Step, ...] = ("repair", "sample", "sample", "repair", "sample")
    """What is done in turn while nothing passes."""
    begun_steps: tuple[Step, ...] = ("continue", "ask", "continue", "continue", "repair")
    """The same for a function that the request begins."""
    at_once: int = 4
    """Versions that one `continue` writes side by side."""
    body_tokens: int = 128
    """Tokens of the rest of such a function."""
    tokens: int = 2_000
    """Tokens that the model may write for one request, all versions together."""


@dataclass(frozen=True)
class Version:
    """Code that the model wrote, and what was seen of it."""

    placed: Placed
    trial: Trial


@dataclass
class Search:
    """The search for code that a message asks for."""

    turn: Turn
    given: Given
    messages: list[Message]
    effort: Effort
    spent: int = 0
    """Tokens written so far."""

    def first(self) -> tuple[str, str]:
        """Language and code of the likeliest answer, or of the next ones where that has no code."""
        if self._header and (codes := self._continued(self.turn.agent.options, 1)):
            return "python", codes[0]
        language, code = self._block(self.messages, self.turn.agent.options)
        for number in range(1, 1 + FIRST_TRIES):
            if code or self._left < FEWEST:
                break
            language, code = "python", self._sample(number)
        return language, code

    def searched(self, code: str) -> Generator[Status, None, tuple[list[Version], Given]]:
        """The versions that were tried, the best first, and what they were tried with.

        Raises SandboxUnavailable where nothing can be run.
        """
        turn = self.turn
        if self.given.empty:
            yield turn.status(say("code_checking", turn.text))
            self.given = replace(self.given, checks=self._own_checks(code), own=True)
        yield turn.status(say("code_running", turn.text))
        written, versions = [code], [self._version(code)]
        steps = self.effort.begun_steps if self._header else self.effort.steps
        for number, step in enumerate(steps, start=1):
            best = versions[0]
            if best.trial.passed or self._left < FEWEST:
                break
            if step == "repair" and self.given.own and not best.trial.error:
                continue  # the check may be what is wrong
            status = "code_repairing" if step == "repair" else "code_sampling"
            yield turn.status(say(status, turn.text))
            for code in self._next(step, number, best):
                if code in written or versions[0].trial.passed:
                    continue
                written.append(code)
                versions.append(self._version(code))
                versions.sort(key=lambda each: -each.trial.score)  # stable: the earlier one wins
        return versions, self.given

    @property
    def _left(self) -> int:
        return self.effort.tokens - self.spent

    def _version(self, code: str) -> Version:
        """What is seen of code, put into the file that it is for."""
        place, given = placed(self.given.files, code), self.given
        if place.target:
            given = replace(given, files={**given.files, place.target: place.code})
        else:
            code = completed(code, header_in(self.turn.text))
            place = Placed(named_as_asked(code, given.checks))
        return Version(place, tried(self.turn, place.code, given))

    @cached_property
    def _header(self) -> str:
        """The function that the request begins, up to where the model goes on with it.

        Without the last line's end: that is the beginning of the first token of what follows.
        """
        return header_in(self.turn.text).rstrip()

    def _next(self, step: Step, number: int, best: Version) -> list[str]:
        """The versions that a step gives; none when it gives no Python."""
        match step:
            case "ask":
                found = [self._python(self.messages, self.turn.agent.options)]
            case "continue":
                found = self._continued(self._sampled(number), self.effort.at_once)
            case "repair":
                found = [self._repair(best)]
            case "sample":
                found = [self._sample(number)]
        return [code for code in found if code]

    def _repair(self, version: Version) -> str:
        """The code again, written with the error in view; empty when that is no Python."""
        llm, options = self.turn.llm, self.turn.agent.options
        room = budget(llm, options) // 2
        problem = shortened(
            f"This code fails:\n{version.placed.code}\n{version.trial.problem}", room, llm
        )
        asked = f"{problem}\n\nThe request was: {self.messages[-1].content}\n\n"
        again = Message(
            role="user", content=shortened(f"{asked}Write the corrected code.", 2 * room, llm)
        )
        return self._python([*self.messages[:1], again], options)

    def _sample(self, number: int) -> str:
        """Another answer."""
        return self._python(self.messages, self._sampled(number))

    def _sampled(self, number: int) -> Options:
        """Options for another version: the later, the more unlike the likeliest."""
        return self.turn.agent.options.merged(
            {"temperature": min(0.8, 0.3 + 0.1 * number), "top_p": 0.95}
        )

    def _continued(self, options: Options, count: int) -> list[str]:
        """The function that the request begins, finished in so many ways, side by side."""
        most = min(self.effort.body_tokens, options.max_new_tokens)
        options = options.merged({"max_new_tokens": most, "stop": NEXT_THING})
        count = min(count, max(1, self._left // most))
        self.turn.checkpoint()
        texts = self.turn.llm.generate_text([self._header] * count, **self._sampling(options))
        self.turn.checkpoint()
        self.spent += sum(map(self.turn.llm.count_tokens, texts))
        return [code for text in texts if (code := self._finished(text))]

    def _finished(self, text: str) -> str:
        """The function with its body; empty when the model wrote none.

        What was broken off, or does not parse, is left out from its end.
        """
        body = body_of(text)
        while body.strip() and not parses(self._header + body):
            body = body.rstrip().rpartition("\n")[0]
        return f"{self._header}{body.rstrip()}\n" if body.strip() else ""

    def _python(self, messages: list[Message], options: Options) -> str:
        language, code = self._block(messages, options)
        return code if language in PYTHON else ""

    def _block(self, messages: list[Message], options: Options) -> tuple[str, str]:
        """Language and code that the model writes; it is stopped when the block ends."""
        stream = self.turn.llm.stream_chat(messages, **self._sampling(options))
        return block_of(self._read(stream, lambda text: text.count("```") >= 2))

    def _own_checks(self, code: str) -> tuple[str, ...]:
        """Checks that the model writes from the request and the names of the code alone."""
        heads = [
            f"{'class' if isinstance(each, ast.ClassDef) else 'def'} {name}"
            + ("" if isinstance(each, ast.ClassDef) else f"({ast.unparse(each.args)})")
            for name, each in (definitions_in(code) if parses(code) else {}).items()
        ]
        if not heads:
            return ()
        asked = f"{self.messages[-1].content}\n\nThe code has: {', '.join(heads)}"
        room = budget(self.turn.llm, self.turn.agent.options) - CHECK_TOKENS
        messages = [
            Message(role="system", content=CHECKS),
            Message(role="user", content=shortened(asked, room, self.turn.llm)),
        ]
        options = self.turn.agent.options.merged({"max_new_tokens": CHECK_TOKENS})
        stream = self.turn.llm.stream_chat(messages, **self._sampling(options))
        found = asserts_in(self._read(stream, lambda text: text.count("```") >= 2))
        return tuple(each for each in found if set(called_by(each)) & definitions_in(code).keys())

    def _sampling(self, options: Options) -> Sampling:
        most = max(1, min(options.max_new_tokens, self._left))
        return sampling(options.merged({"max_new_tokens": most}))

    def _read(self, stream: Generator[str, None, None], ended: Callable[[str], bool]) -> str:
        """What the model writes up to where it has ended, counted."""
        text = ""
        with closing(stream):
            for piece in stream:
                self.turn.checkpoint()
                text += piece
                if ended(text):
                    break
        self.spent += self.turn.llm.count_tokens(text)
        return text


def body_of(text: str) -> str:
    """The indented lines that a text begins with."""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.strip() and not line[0].isspace():
            return "".join(lines[:number])
    return text
