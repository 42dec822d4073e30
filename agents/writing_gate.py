"""The gate behind the writing agent: names, numbers and meaning of a text stay as they were.

And what is left when a model's text does not pass: small repairs by rule, sentences as they are.
Knows only text. Start reading at `changes` and `tidied`.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from importlib import resources

from llmasos.language.words import is_chinese, names, numbers, sentences, terms

MISSPELT: dict[str, str] = tomllib.loads(
    (resources.files(__package__) / "misspellings.toml").read_text(encoding="utf-8")
)
"""Frequent misspellings, and what is meant."""


SHORT = 200
"""Characters of a text in which one changed word is a large share."""


def changes(original: str, new: str) -> list[str]:
    """The facts that a new text lost (`−1998`) or invented (`+2`): numbers and names."""
    lost = sorted(numbers(original) - numbers(new)) + _named_only_in(original, new)
    return [f"−{fact}" for fact in lost] + inventions(original, new)


def inventions(original: str, new: str) -> list[str]:
    """The numbers and names of a new text that are not in the original."""
    added = sorted(numbers(new) - numbers(original)) + _named_only_in(new, original)
    return [f"+{fact}" for fact in added]


def _named_only_in(text: str, other: str) -> list[str]:
    return sorted(name for name in names(text) if name not in other.lower())


def only_corrected(original: str, new: str) -> bool:
    """Whether a new text is the original with small corrections and no other content."""
    if changes(original, new) or not 0.85 <= len(new) / max(1, len(original)) <= 1.2:
        return False
    if _alike(_tokens(original), _tokens(new)) < 0.75 and (
        len(original) > SHORT or _alike(original, new) < 0.85
    ):
        return False
    return all(_near(old, fresh) for old, fresh in corrections(original, new))


def _near(old: str, fresh: str) -> bool:
    """Whether one correction keeps the word: a letter, an ending, a small word more or less."""
    if len(old.split()) > 3 or len(fresh.split()) > 3:
        return False
    told, retold = Counter(terms(old)), Counter(terms(fresh))
    if not told and not retold:
        return True
    return _alike(old.lower(), fresh.lower()) >= 0.5


def _alike(one: Sequence[str], other: Sequence[str]) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def corrections(original: str, new: str) -> list[tuple[str, str]]:
    """What was changed, as (before, after) in words."""
    before, after = _tokens(original), _tokens(new)
    joint = "" if is_chinese(original) else " "
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    return [
        (joint.join(before[a:b]), joint.join(after[c:d]))
        for tag, a, b, c, d in matcher.get_opcodes()
        if tag != "equal"
    ]


def _tokens(text: str) -> list[str]:
    return list(text.replace("\n", " ")) if is_chinese(text) else text.split()


def tidied(text: str) -> str:
    """A text without the mistakes that rules tell: spelling, doubled words, spaces, capitals."""
    for pattern, mended in _CHINESE_RULES if is_chinese(text) else _ENGLISH_RULES:
        text = pattern.sub(mended, text)
    return text.strip()


def _spelt(match: re.Match[str]) -> str:
    word = match.group()
    right = MISSPELT.get(word.lower())
    if right is None:
        return word
    return right[0].upper() + right[1:] if word[0].isupper() else right


def key_sentences(text: str, most: int = 3) -> str:
    """Some sentences that say most of what a text is about, as they stand, in their order."""
    parts = sentences(text)
    most = max(1, min(most, len(parts) // 2))
    weight = Counter(term for part in parts for term in set(terms(part.text)))

    def tells(index: int) -> float:
        own = set(terms(parts[index].text))
        return sum(weight[term] for term in own) / (len(own) + 3) + (1.0 if index == 0 else 0.0)

    best = sorted(sorted(range(len(parts)), key=tells, reverse=True)[:most])
    return ("" if is_chinese(text) else " ").join(parts[index].text for index in best)


_VOWEL = r"(?= [aeio][a-z])(?! (?:one|once|uni|use|eu))"
_ENGLISH_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\b[A-Za-z]+\b"), _spelt),
    (re.compile(r"\b(?!(?:that|had|very|bye|no|so)\b)([A-Za-z]+)\s+\1\b", re.IGNORECASE), r"\1"),
    (re.compile(r"(?<=\S)[ \t]{2,}(?=\S)"), " "),
    (re.compile(r"[ \t]+([,.;:!?])(?=\s|$)"), r"\1"),
    (re.compile(r"(?<=[a-z]),(?=[A-Za-z])"), ", "),
    (re.compile(r"\bi\b(?=['’ ])"), "I"),
    (re.compile(rf"\ba{_VOWEL}"), "an"),
    (re.compile(rf"\bA{_VOWEL}"), "An"),
    (re.compile(r"(?:^|(?<=[.!?] ))[a-z](?=[a-z]* )"), lambda match: match.group().upper()),
)
_CHINESE_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"([，。！？、；])\1+"), r"\1"),
    (re.compile(r"(的|了|是)\1(?=[\u4e00-\u9fff])"), r"\1"),
)
