"""What a request for code holds besides words: examples and tests that the code must pass.

Taken from files of tests, doctests (`>>> f(2)`), asserts, and phrases like `f(2) == 4`, `f(2) -> 4`
or "f(2) should return 4". Knows nothing of models. Start reading at `given_in`.
"""

import ast
import builtins
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import PurePosixPath

from llmasos.request import Attachment

MOST_CHECKS = 20
MOST_CALLS = 100
"""Calls in a request that are looked at."""
LONGEST_VALUE = 200
"""Characters of an expected value."""
_CALL = re.compile(r"(?<![\w.])[A-Za-z_]\w*\(")
_GIVES = re.compile(
    r"`?\s*(?:==|->|=>|→|-->|(?:should|must) (?:return|be|give|equal|yield)"
    r"|returns?|gives?|equals?|is|yields?|应该?(?:返回|等于|为|是)|返回|等于|得到)\s*:?\s*`?",
    re.IGNORECASE,
)
_TEST_FILE = re.compile(r"(?:test_\w+|\w+_test)\.py")
_BLOCK = re.compile(r"```[ \t]*([\w+#.-]*)[^\n]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Given:
    """What code is tried with."""

    checks: tuple[str, ...] = ()
    """Python conditions."""
    tests: Mapping[str, str] = field(default_factory=dict)
    """Files of tests, by name."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Other files that came along, by name."""
    module: str = "main"
    """The name that the tests import the code by."""
    own: bool = False
    """Whether the agent wrote the checks itself: they are weaker evidence."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to check."""
        return not self.checks and not self.tests


def given_in(text: str, attachments: Sequence[Attachment]) -> Given:
    """The examples and tests of a message and its files."""
    files = {PurePosixPath(each.name).name: each.text for each in attachments}
    tests = {name: source for name, source in files.items() if is_test(name)}
    others = {name: source for name, source in files.items() if name not in tests}
    prose = [source for name, source in others.items() if not name.endswith(".py")]
    code = [source for name, source in others.items() if name.endswith(".py")]
    found = [*checks_in("\n".join([text, *prose])), *_doctests("\n".join(code))]
    checks = tuple(dict.fromkeys(found))[:MOST_CHECKS]
    return Given(checks, tests, others, _imported(tests.values()))


def is_test(name: str) -> bool:
    """Whether a file is one of tests, by its name."""
    return bool(_TEST_FILE.fullmatch(name))


def checks_in(text: str) -> list[str]:
    """The examples of a request as Python conditions, such as `f(2) == 4`; each once."""
    found: dict[str, None] = {}
    for check in [*_doctests(text), *asserts_in(text), *_phrases(text)]:
        found.setdefault(check)
    return list(found)[:MOST_CHECKS]


def asserts_in(text: str) -> Iterator[str]:
    """The conditions that a text asserts."""
    for match in re.finditer(r"(?m)^[ \t]*`?assert\s+(.+?)`?\s*$", text):
        try:
            tree = ast.parse(f"assert {match.group(1)}").body[0]
        except (SyntaxError, ValueError):
            continue
        if isinstance(tree, ast.Assert):
            yield ast.unparse(tree.test)


def called_by(check: str) -> Iterator[str]:
    """The names of functions that a condition calls."""
    for node in ast.walk(ast.parse(check)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def named_as_asked(code: str, checks: Sequence[str]) -> str:
    """The code, its only function named as the checks call it, where the model chose otherwise."""
    if not parses(code):
        return code
    functions = [
        name for name, each in definitions_in(code).items() if isinstance(each, ast.FunctionDef)
    ]
    known = {*functions, *dir(builtins), *re.findall(r"(?:class|import|as)\s+(\w+)", code)}
    missing = {name for check in checks for name in called_by(check)} - known
    if len(functions) != 1 or len(missing) != 1:
        return code
    return re.sub(rf"\b{functions[0]}\b", missing.pop(), code)


def block_of(answer: str) -> tuple[str, str]:
    """Language and text of an answer's first code block; a bare answer counts if it is Python."""
    match = _BLOCK.search(answer)
    if match:
        return match.group(1).lower() or "python", match.group(2).rstrip() + "\n"
    text = answer.strip()
    return ("python", text + "\n") if text and parses(text) and "\n" in text else ("", "")


def parses(code: str) -> bool:
    """Whether a text is Python."""
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def header_in(text: str) -> str:
    """The function that a request begins and leaves to be finished: its head and docstring, with
    what stands above; empty when there is none.
    """
    block = re.search(r"```\w*\n(.*?)\n?```", text, re.DOTALL)
    source = (block.group(1) if block else text).rstrip()
    start = re.search(r"(?m)^(?:from|import|def|class|@)\b", source)
    source = source[start.start() :] if start else ""
    if not source or not parses(f"{source}\n    ..."):
        return ""
    last = ast.parse(f"{source}\n    ...").body[-1]
    begun = isinstance(last, ast.FunctionDef) and len(last.body) == 1 + bool(
        ast.get_docstring(last)
    )
    return source + "\n" if begun else ""


def definitions_in(code: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """The functions and classes at the top of a Python text, by name."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {each.name: each for each in ast.parse(code).body if isinstance(each, kinds)}


def _imported(tests: Iterable[str]) -> str:
    """The module that tests import which is none of Python's own; else `main`."""
    known = {*sys.stdlib_module_names, "pytest"}
    for source in tests:
        for node in ast.walk(ast.parse(source)) if parses(source) else ():
            names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            own = [name for name in names if name.partition(".")[0] not in known]
            if own:
                return own[0]
    return "main"


def _doctests(text: str) -> Iterator[str]:
    lines = text.splitlines()
    for line, following in pairwise(lines):
        call, expected = line.strip().removeprefix(">>>").strip(), following.strip()
        if line.strip().startswith(">>>") and _is_call(call) and _is_value(expected):
            yield f"{call} == {expected}"


def _phrases(text: str) -> Iterator[str]:
    for match in islice(_CALL.finditer(text), MOST_CALLS):
        if re.search(r"(?:>>>|assert|def)\s*$", text[: match.start()].rpartition("\n")[2]):
            continue
        call = _balanced(text, match.start(), match.end())
        gives = _GIVES.match(text, match.start() + len(call)) if call else None
        value = _value_at(text[gives.end() :].partition("\n")[0]) if gives else None
        if value is not None and _is_call(call):
            yield f"{call} == {value}"


def _balanced(text: str, start: int, inside: int) -> str:
    """A call up to its closing bracket; empty when there is none near."""
    depth = 1
    for index in range(inside, min(len(text), inside + 300)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return text[start : index + 1]
    return ""


def _value_at(line: str) -> str | None:
    """The longest Python value that a line begins with."""
    for end in range(min(len(line), LONGEST_VALUE), 0, -1):
        candidate = line[:end].rstrip(" `.,;，。；、").lstrip()
        if candidate and _is_value(candidate):
            return candidate
    return None


def _is_value(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
    return True


def _is_call(text: str) -> bool:
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return False
    return isinstance(tree, ast.Call)
