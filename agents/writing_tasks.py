"""What a message asks of the writing agent: the task, and the text that it is about.

By trigger words, English and Chinese; no model. Start reading at `task_of`.
"""

import re
from dataclasses import dataclass
from typing import Literal

Name = Literal[
    "title",
    "outline",
    "continue",
    "polish",
    "rewrite",
    "proofread",
    "summarise",
    "translate",
    "long",
    "section",
    "free",
]

_TRIGGERS: tuple[tuple[Name, str], ...] = (
    ("section", r"^Write section \d+ of \d+|^撰写第 \d+ 节"),
    (
        "proofread",
        r"\bproof-?read|\b(?:fix|correct|check)\b.{0,30}\b(?:grammar|spelling|typos?|mistakes|errors)"
        r"|\b(?:spelling|grammar) (?:check|mistakes)|校对|改错|纠错|语法|错别字|病句",
    ),
    (
        "summarise",
        r"\bsummar(?:y|i[sz]e)|\btl;?dr\b|\bsum (?:this |it )?up\b|\bkey points\b"
        r"|总结|摘要|概括|概述|归纳",
    ),
    (
        "title",
        r"\b(?:title|headline|subject line|heading)s?\b.{0,20}\b(?:for|of|to)\b"
        r"|\b(?:suggest|give|write|find|need)\b.{0,20}\b(?:title|headline)|标题|题目|起个?名",
    ),
    (
        "continue",
        r"\bcontinue\b|\bgo on with\b|\bkeep writing\b|\bcarry on\b|\bwhat (?:comes|happens) next\b"
        r"|续写|接着写|继续写",
    ),
    (
        "polish",
        r"(?-i:\bpolish(?:ing)?\b)|^\W*polish (?:this|the|my|our|it)\b"
        r"|\b(?:read|flow|sound)s? (?:better|well|more (?:naturally|fluently|smoothly))\b"
        r"|\bimprove\b.{0,30}\b(?:style|flow|wording|writing|readability)\b|润色",
    ),
    (
        "rewrite",
        r"\bre-?(?:write|phrase|word)|\bparaphrase"
        r"|\b(?:make|turn)\b.{0,30}\b(?:shorter|longer|formal|friendl|polite|concise|clearer|simpler|professional|casual)|\bshorten\b|\bsimplify\b"
        r"|改写|重写|换一?种说法|改得|缩短|精简|更(?:正式|礼貌|简洁|口语)",
    ),
    ("translate", r"\btranslat(?:e|ion)\b|翻译|译成"),
    ("outline", r"\boutline\b|大纲|提纲"),
    (
        "long",
        r"\b(?:long|detailed|in-depth|comprehensive)\b.{0,30}"
        r"\b(?:article|report|essay|guide|paper|story|handbook|manual)\b"
        r"|\b(?:[6-9]\d\d|\d{4,5}|\d,\d{3})[- ]words?\b|长篇|长文|[1-9]\d{3,}\s*字",
    ),
)
_PATTERNS = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _TRIGGERS)
HEAD = 200
"""Characters at the beginning, and at the end, in which the task is named."""


@dataclass(frozen=True)
class Task:
    """A piece of writing that is asked for."""

    name: Name
    instruction: str
    """How it is asked for."""
    text: str
    """What it is about; empty when the message is the instruction alone."""


def task_of(message: str) -> Task:
    """The task of a message: named in its instruction, not in the text that it is about."""
    instruction, text = _parted(message)
    for name, pattern in _PATTERNS:
        if pattern.search(instruction):
            return Task(name, instruction, text)
    return Task("free", instruction, text)


def length_of(instruction: str) -> int | None:
    """How long a text is to be, in words or Chinese characters; None: it is not said."""
    found = re.search(r"\b(\d{1,5})[- ]words?\b|(\d{1,5})\s*(?:个?字)", instruction)
    return int(found.group(1) or found.group(2)) if found else None


def _parted(message: str) -> tuple[str, str]:
    """Instruction and text: parted by a blank line, a line, a colon or quotation marks."""
    message = message.strip()
    quoted = re.search(r"```\w*\n(.+?)```|[\"“「](.{20,})[\"”」]", message, re.DOTALL)
    if quoted:
        rest = f"{message[: quoted.start()]} {message[quoted.end() :]}"
        return rest.strip()[: 2 * HEAD], (quoted.group(1) or quoted.group(2)).strip()
    for mark in (r"\n\s*\n", r"[:：]\s*\n", r"\n", r"[:：]\s*"):
        parts = re.split(mark, message, maxsplit=1)
        if len(parts) == 2 and len(parts[0]) <= HEAD and parts[1].strip():
            return parts[0].strip(), parts[1].strip()
    return message[:HEAD], ""
