"""What a message asks of the code agent: the task, and the code or diff that it is about.

By trigger words, English and Chinese, and by what came along; no model. Start reading at `task_of`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from agents.code_languages import language_of, named_in
from agents.code_request import is_test
from llmasos.request import Attachment

Name = Literal["write", "explain", "review", "tests", "convert", "ask"]

_REVIEW = re.compile(r"\breview|\bfeedback\b|\bcritique|审查|评审|审阅|点评", re.IGNORECASE)
_TESTS = re.compile(
    r"\b(?:write|add|generate|create|make|need)\b.{0,40}\b(?:tests?|test cases?)\b(?! pass)"
    r"|(?:写|编写|生成|添加|补充).{0,20}测试",
    re.IGNORECASE,
)
_CONVERT = re.compile(
    r"\b(?:convert|translate|port|rewrite|turn|transpile)\b"
    r"|转换?[成为]|改写[成为]|翻译[成为]|移植",
    re.IGNORECASE,
)
_EXPLAIN = re.compile(
    r"\bexplain|\bwhat (?:does|is|do|are)\b|\bhow (?:does|do)\b|\bwalk me through\b|\bdescribe\b"
    r"|解释|讲解|说明一下|什么意思|做了?什么",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"^\W*(?:where|which|what|who|how (?:does|do|is|are)|why|when|is there|does|do we|explain)\b"
    r"|哪里|哪个|在哪|为什么|怎么实现|如何实现",
    re.IGNORECASE,
)
_HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@", re.MULTILINE)
_FENCE = re.compile(r"```[ \t]*([\w+#.-]*)[^\n]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
_CODE_FILE = re.compile(r".+\.(?:py|js|ts|sh|c|h|cc|cpp|go|rs|java|rb|php|pl|lua|cs|kt|swift|sql)")


@dataclass(frozen=True)
class Source:
    """Code that came with a message."""

    name: str
    """Its file's name; empty: it stands in the message."""
    language: str
    text: str


@dataclass(frozen=True)
class Task:
    """What is to be done with code."""

    name: Name
    source: Source | None = None
    diff: str = ""
    """What is to be reviewed."""
    language: str = ""
    """What it is to be converted to."""


def task_of(message: str, attachments: Sequence[Attachment], *, indexed: bool) -> Task:
    """The task of a message and its files. indexed: whether there is a repository to ask about."""
    words = _FENCE.sub(" ", message)
    words = words[: found.start()] if (found := _HUNK.search(words)) else words
    diff = _diff(message, attachments)
    source = _source(message, attachments)
    if diff and (_REVIEW.search(words) or not _EXPLAIN.search(words)):
        return Task("review", diff=diff)
    if source and _REVIEW.search(words):
        return Task("review", diff=_as_added(source))
    if source and _TESTS.search(words):
        return Task("tests", source)
    if source and _CONVERT.search(words) and (language := named_in(words, but=source.language)):
        return Task("convert", source, language=language)
    if (source or diff) and _EXPLAIN.search(words):
        return Task("explain", source)
    if indexed and not source and _QUESTION.search(words):
        return Task("ask")
    return Task("write")


def _diff(message: str, attachments: Sequence[Attachment]) -> str:
    """The first diff, in a file or the message."""
    for text in [*(each.text for each in attachments), message]:
        if found := _HUNK.search(text):
            head = re.search(r"(?m)^(?:diff --git |--- )", text[: found.start()])
            return text[head.start() if head else found.start() :]
    return ""


def _source(message: str, attachments: Sequence[Attachment]) -> Source | None:
    """The code of the message, else of the first file of code."""
    if fenced := _FENCE.search(message):
        text = fenced.group(2).rstrip() + "\n"
        return Source("", language_of(fenced.group(1).lower(), text), text)
    for each in attachments:
        name = PurePosixPath(each.name).name
        if _CODE_FILE.fullmatch(name) and not is_test(name):
            return Source(name, language_of(PurePosixPath(name).suffix[1:], each.text), each.text)
    return None


def _as_added(source: Source) -> str:
    """A whole file as a diff that adds it."""
    lines = source.text.splitlines()
    head = f"--- /dev/null\n+++ b/{source.name or 'code'}\n@@ -0,0 +1,{len(lines)} @@\n"
    return head + "".join(f"+{line}\n" for line in lines)
