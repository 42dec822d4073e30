"""The documentation as its readers see it: pages with headings, links, code blocks and commands.

A test with a parameter `page`, `python_block`, `toml_block`, `json_block`, `shell_command` or
`mention` runs once for each of them. A fenced block with a title (```python title="…") is shown
only: the title says why, or which file it is.
"""

import importlib.util
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[3]
FILES = [
    *(ROOT / name for name in ("README.md", "README.zh-CN.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
_ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=.*")


@dataclass(frozen=True)
class Block:
    """A fenced code block."""

    page: str
    line: int
    language: str
    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A call of `llmasos` that the documentation shows. words: what follows `llmasos`."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}:llmasos {' '.join(self.words)}"


@dataclass
class Page:
    """One Markdown file. name: its path in the repository."""

    name: str
    text: str
    headings: list[tuple[int, str]] = field(default_factory=list)
    """(level, words), code marks left out."""
    links: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    """Code within sentences."""
    blocks: list[Block] = field(default_factory=list)

    def __str__(self) -> str:
        return self.name

    @property
    def anchors(self) -> set[str]:
        """What `#` may lead to, as GitHub names headings: the second `agent` is `agent-1`."""
        seen: Counter[str] = Counter()
        found = set()
        for _, words in self.headings:
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
        return found

    def titles(self) -> list[str]:
        """The words of all headings."""
        return [words for _, words in self.headings]

    def commands(self) -> Iterator[Command]:
        """The calls of `llmasos` in its shell blocks."""
        for block in self.blocks:
            if block.language in ("sh", "console"):
                for line in block.text.replace("\\\n", " ").splitlines():
                    yield from _calls(self.name, line)

    def mentions(self) -> Iterator[Command]:
        """The calls of `llmasos` in its sentences, which may lack arguments."""
        for code in self.code:
            yield from _calls(self.name, code)


def _calls(page: str, line: str) -> Iterator[Command]:
    words = shlex.split(line, comments=True) if "llmasos" in line else []
    while words and _ASSIGNMENT.fullmatch(words[0]):
        words.pop(0)
    if words[1:] and words[0].removeprefix(".venv/bin/") == "llmasos":
        yield Command(page, tuple(words[1:]))


def read(path: Path) -> Page:
    """A Markdown file taken apart."""
    page = Page(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    tokens = MarkdownIt().enable("table").parse(page.text)
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and following is not None:
            words = "".join(child.content for child in following.children or ())
            page.headings.append((int(token.tag[1:]), words))
        elif token.type == "fence":
            page.blocks.append(_block(page.name, token))
        for child in token.children or ():
            if child.type == "link_open":
                page.links.append(str(child.attrs["href"]))
            elif child.type == "code_inline":
                page.code.append(child.content)
    return page


def _block(page: str, token: Token) -> Block:
    language, _, title = token.info.partition(" ")
    return Block(page, (token.map or [0])[0] + 1, language, title.strip(), token.content)


PAGES = [read(path) for path in FILES]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each piece of the documentation that the test's parameter names."""
    blocks = [block for page in PAGES for block in page.blocks if not block.title]
    cases: dict[str, list[object]] = {
        "page": [*PAGES],
        "python_block": [block for block in blocks if block.language == "python"],
        "toml_block": [block for block in blocks if block.language == "toml"],
        "json_block": [block for block in blocks if block.language == "json"],
        "shell_command": [command for page in PAGES for command in page.commands()],
        "mention": [command for page in PAGES for command in page.mentions()],
    }
    for name, values in cases.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values, ids=str)


@pytest.fixture(scope="session")
def pages() -> dict[str, Page]:
    """All pages, by their path in the repository."""
    return {page.name: page for page in PAGES}


@pytest.fixture(scope="session")
def generate() -> ModuleType:
    """docs/generate.py, as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
