"""Words: what a text is about, told without a model.

Terms (stemmed words; for Chinese and its neighbours pairs of characters), sentences with their
places, numbers and names. Checks, the router and the flows count with these. Knows only text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from llmasos.language.lexicon import IRREGULAR, STOP, STOP_CJK

CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_HAN_RUN = re.compile(r"[\u3400-\u9fff]+")
_LETTERS = re.compile(rf"[^\W\d_{CJK}]+")
_CJK_RUN = re.compile(f"[{CJK}]+")
_WORD = re.compile(rf"[^\W_{CJK}]+(?:['’][^\W\d_]+)?")
_NUMBER = re.compile(r"(?<![\w.])\d[\d,.]*\d|\d")
_PHRASAL = re.compile(r"\b(back|roll)(?:ed|ing)?\s+(up|back)\b")
"""Verbs of two words that say nothing one by one."""
NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
}


@dataclass(frozen=True)
class Sentence:
    """A sentence or list item, and where it stands in its text."""

    text: str
    start: int
    end: int


def is_chinese(text: str) -> bool:
    """Whether a text is written in Chinese: a character counts as much as a word of letters."""
    characters = sum(len(run) for run in _HAN_RUN.findall(text))
    return characters > 0 and characters >= len(_LETTERS.findall(text))


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """A word without its inflection: crude, but the same for a word's forms."""
    word = IRREGULAR.get(word, word)
    if len(word) <= 3 or not word.isascii():
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)] + instead
            break
    for ending in ("ation", "ition", "ion", "ing", "ed", "able", "ible", "ment", "er", "or", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] in "ei" else word


_ENDINGS = (
    ("ies", "y"),
    ("sses", "ss"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("xes", "x"),
    ("ss", "ss"),
    ("us", "us"),
    ("s", ""),
    ("ying", "y"),
    ("ied", "y"),
)


def terms(text: str) -> list[str]:
    """The text's terms in order: stemmed words without stop words, and pairs of CJK characters."""
    text = text.lower()
    if "back" in text or "roll" in text:
        text = _PHRASAL.sub(r"\1\2", text)
    if not _CJK_RUN.search(text):
        return [term for word in _WORD.findall(text) if (term := _term(word))]
    found = [(match.start(), term) for match in _WORD.finditer(text) if (term := _term(match[0]))]
    for match in _CJK_RUN.finditer(text):
        run = match.group()
        pairs = [run] if len(run) == 1 else [run[i : i + 2] for i in range(len(run) - 1)]
        found += [
            (match.start() + i, pair)
            for i, pair in enumerate(pairs)
            if not any(character in STOP_CJK for character in pair)
        ]
    return [term for _, term in sorted(found)]


@lru_cache(maxsize=50_000)
def _term(word: str) -> str:
    """The term that a word in lower case is; empty when it says nothing."""
    word = word.replace("’", "'").split("'")[0]
    if word in STOP or (len(word) == 1 and not word.isdigit()):
        return ""
    return stem(NUMBER_WORDS.get(word, word))


def numbers(text: str) -> set[str]:
    """The numbers of a text, digits and small words alike, thousands without their commas."""
    found = {n.replace(",", "").rstrip(".") for n in _NUMBER.findall(text)}
    found |= {NUMBER_WORDS[w] for w in re.findall(r"[a-z]+", text.lower()) if w in NUMBER_WORDS}
    return found


def names(text: str) -> set[str]:
    """The names of a text, lower-case: acronyms, addresses, and capitalised words in a sentence."""
    found = set(
        re.findall(r"\b[\w.+-]{1,64}@[\w-]{1,63}\.[\w.]{1,63}\b|https?://[^\s)>`\]]+", text)
    )
    found |= set(re.findall(r"\b[A-Z]{2,}s?\b|\b\w{0,40}[a-z][A-Z]\w*\b", text))
    for sentence in sentences(text):
        inside = re.sub(r"^\W*\w+", "", sentence.text)
        found |= set(re.findall(r"(?<![\w'’-])[A-Z][\w-]*[a-z][\w-]*", inside))
    return {name.rstrip(".,").lower() for name in found if name.lower() not in STOP}


_BREAK = re.compile(
    r"(?<=[.!?])[\"')*\]]*\s+(?=[\"'(*\[>`]*[A-Z0-9\"'(*\[`])"
    r"|(?<=[。！？；])[”’」』）]*|\n\s*\n|\n(?=\s*(?:[-*+>#|]|\d+[.)])\s)"
)
_ABBREVIATED = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|Mr|Mrs|Ms|Dr|No|St)\.|^\W*\d+\.)$")


def sentences(text: str) -> list[Sentence]:
    """The sentences and list items of a text, with their places; the markup stays in them."""
    return list(_sentences(text))


def _sentences(text: str) -> Iterator[Sentence]:
    start = 0
    for match in [*_BREAK.finditer(text), None]:
        end = match.start() if match else len(text)
        piece = text[start:end]
        if match and "\n\n" not in match.group() and _ABBREVIATED.search(piece):
            continue
        if piece.strip():
            lead = len(piece) - len(piece.lstrip())
            yield Sentence(piece.strip(), start + lead, start + len(piece.rstrip()))
        start = match.end() if match else end
