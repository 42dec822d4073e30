"""The rules of the checker: patterns of mistakes, and lists of misspellings.

English rules are those that Harper lacks; Chinese ones are all there is for Chinese. Read by
`writing_checker.py`.
"""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Rule:
    """A mistake that a pattern tells."""

    pattern: re.Pattern[str]
    after: str | Callable[[re.Match[str]], str]
    why: str


def _list(name: str) -> dict[str, str]:
    """A list of wrong forms, and what is meant."""
    return tomllib.loads((resources.files(__package__) / name).read_text(encoding="utf-8"))


def _rule(pattern: str, after: str | Callable[[re.Match[str]], str], why: str) -> Rule:
    return Rule(re.compile(pattern, re.MULTILINE), after, why)


_MISSPELT = _list("misspellings.toml")
_WRONG = _list("misspellings_zh.toml")


def _respelt(match: re.Match[str]) -> str:
    word = match.group()
    right = _MISSPELT.get(word.lower(), word)
    return right[0].upper() + right[1:] if word[0].isupper() else right


_VOWEL = r"(?= [aeio][a-z])(?! (?:one|once|uni|use|eu))"
ENGLISH = (
    _rule(r"\b[A-Za-z]+\b", _respelt, "spelling"),
    _rule(
        r"\b(?!(?:[Tt]hat|[Hh]ad|[Vv]ery|[Bb]ye|[Nn]o|[Ss]o)\b)([A-Za-z]+)\s+\1\b",
        r"\1",
        "the word stands twice",
    ),
    _rule(r"(?<=\S)[ \t]{2,}(?=\S)", " ", "one space is enough"),
    _rule(r"[ \t]+(?=[,.;:!?](?:\s|$))", "", "no space before the mark"),
    _rule(r"(?<=[a-z]),(?=[A-Za-z])", ", ", "a space after the comma"),
    _rule(r"\bi\b(?=['’ ])", "I", "“I” is a capital"),
    _rule(rf"\ba{_VOWEL}", "an", "“an” before a vowel"),
    _rule(rf"\bA{_VOWEL}", "An", "“an” before a vowel"),
    _rule(
        r"(?:^|(?<=[.!?] ))[a-z](?=[a-z]* )",
        lambda match: match.group().upper(),
        "a sentence begins with a capital",
    ),
)
CHINESE = (
    _rule("|".join(map(re.escape, _WRONG)), lambda match: _WRONG[match.group()], "错别字"),
    _rule(r"([，。！？、；])\1+", r"\1", "标点重复"),
    _rule(r"(的|是)\1(?=[\u4e00-\u9fff])(?!确)", r"\1", "文字重复"),
    _rule(r"了了(?=[，。！？；]|$)", "了", "文字重复"),
    _rule(r"在(?=在线)", "", "文字重复"),
    _rule(
        r"(?<=[快慢速细真松利易地显接确底底烈心极动好])的"
        r"(?=(?:找到|完成|解决|处理|提高|改善|了解|使用|进行|发展|增加|减少|回答|检查|工作|学习|说|看|走|跑|做))",
        "地",
        "状语用“地”",
    ),
    _rule(r"(?<=避免)(今后|以后)?不再", lambda m: f"{m.group(1) or ''}再", "否定不当"),
    _rule(r"(?<=防止)(今后|以后)?不再", lambda m: f"{m.group(1) or ''}再", "否定不当"),
    _rule(
        r"((?:^|[。！？；])(?:通过|经过)[^，。！？]{2,30}，)使得?(?=[^，。]{2})", r"\1", "缺主语"
    ),
    _rule(
        r"(请(?:您|你)?(?:检查|确认|核对|看看)[^，。！？]{0,30}是否[^，。！？]{1,20})吗？",
        r"\1。",
        "句式杂糅",
    ),
    _rule(r"((?:大约|大概)(?:有)?)([^，。！？]{1,8}?)左右", r"\1\2", "“大约”与“左右”重复"),
    _rule(r"(增加了[^，。！？]{1,8}以上)的(?:提升|提高|增长)", r"\1", "搭配不当"),
    _rule(r"(地点在[^，。！？]{1,12})举行(?=[，。！？])", r"\1", "句式杂糅"),
)
