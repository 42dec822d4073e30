"""The languages of code: their names, and how a program in each is run in the sandbox.

Python is always there; of the others those whose toolchain this machine has. Start reading at
`toolchain`.
"""

import re
import shutil
from dataclasses import dataclass, replace

from agents.code_request import parses
from llmasos.sandbox import SandboxResult
from llmasos.turn import Turn

PATH = "/usr/bin:/bin"
"""Where the sandbox finds programs."""
NAMES = {
    "python": ("python", "py", "python3"),
    "javascript": ("javascript", "js", "node", "nodejs"),
    "typescript": ("typescript", "ts"),
    "bash": ("bash", "sh", "shell", "zsh"),
    "c++": ("c++", "cpp", "cc", "cxx"),
    "c": ("c",),
    "c#": ("c#", "csharp", "cs"),
    "go": ("go", "golang"),
    "rust": ("rust", "rs"),
    "java": ("java",),
    "ruby": ("ruby", "rb"),
    "perl": ("perl", "pl"),
    "php": ("php",),
    "lua": ("lua",),
    "kotlin": ("kotlin", "kt"),
    "swift": ("swift",),
    "sql": ("sql",),
}
"""Each language, and what it is called in messages and by files' endings."""
WORDS_TOO = {"go", "c", "node", "shell", "swift", "rust"}
"""Names that are words of other meaning as well: they count behind `in`, `to` or the like."""
SUFFIXES = {
    "python": "py", "javascript": "js", "typescript": "ts", "bash": "sh", "c++": "cpp", "c": "c",
    "c#": "cs", "rust": "rs", "ruby": "rb", "perl": "pl", "kotlin": "kt",
}  # fmt: skip
"""Endings of files whose language is named otherwise."""
UNKNOWN = "txt"
ADDRESSES = 2 * 2**30
"""Bytes of address space for programs that reserve much more than they use, such as Node."""


@dataclass(frozen=True)
class Toolchain:
    """How a program is run."""

    program: str
    """What must be there."""
    command: tuple[str, ...]


TOOLCHAINS = {
    "python": Toolchain("python3", ("python3", "main.py")),
    "javascript": Toolchain("node", ("node", "main.js")),
    "bash": Toolchain("bash", ("bash", "main.sh")),
    "c": Toolchain("gcc", ("sh", "-c", "gcc -o main main.c -lm && ./main")),
    "c++": Toolchain("g++", ("sh", "-c", "g++ -o main main.cpp && ./main")),
    "ruby": Toolchain("ruby", ("ruby", "main.rb")),
    "perl": Toolchain("perl", ("perl", "main.pl")),
    "php": Toolchain("php", ("php", "main.php")),
    "lua": Toolchain("lua", ("lua", "main.lua")),
}


def language_of(word: str, text: str) -> str:
    """The language of a fence's or ending's word; without one Python, if the text is that."""
    known = (name for name, words in NAMES.items() if word in words)
    return next(known, word or ("python" if parses(text) else ""))


def named_in(words: str, but: str) -> str:
    """The last language that words name, another than one; empty when they name none."""
    found: list[tuple[int, str]] = []
    for name, called in NAMES.items():
        for word in called:
            if len(word) < 3 and word not in ("go", "c", "c#", "js"):
                continue
            before = (
                r"(?:\b(?:in|to|into|as|using)\s+|[用成为])"
                if word in WORDS_TOO
                else r"(?<![\w.#+])"
            )
            pattern = rf"{before}{re.escape(word)}(?![a-z0-9_+#])"
            found += [(each.end(), name) for each in re.finditer(pattern, words.lower())]
    others = [name for _, name in sorted(found) if name != but]
    return others[-1] if others else ""


def file_of(language: str) -> str:
    """The name of a program's file."""
    return f"main.{SUFFIXES.get(language, language if language.isalnum() else UNKNOWN)}"


def toolchain(language: str) -> Toolchain | None:
    """How a program in a language is run here; None: its toolchain is missing."""
    known = TOOLCHAINS.get(language)
    if known is None or (language != "python" and not shutil.which(known.program, path=PATH)):
        return None
    return known


def executed(turn: Turn, language: str, code: str, tools: Toolchain) -> SandboxResult:
    """A program's run. Raises SandboxUnavailable where nothing can be run."""
    limits = turn.sandbox.limits
    if language == "javascript":
        limits = replace(limits, memory=max(limits.memory, ADDRESSES))
    return turn.sandbox.run(
        {file_of(language): code}, tools.command, limits=limits, checkpoint=turn.checkpoint
    )
