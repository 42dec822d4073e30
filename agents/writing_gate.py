"""The gate behind the writing agent: names, numbers and meaning of a text stay as they were.

And what is left when a model's text does not pass: its own sentences. Knows only text. Start
reading at `changes`.
"""

import re
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

from llmasos.language.words import is_chinese, names, numbers, sentences, terms

NEGATED = [
    "do",
    "does",
    "did",
    "is",
    "are",
    "was",
    "were",
    "ca",
    "wo",
    "would",
    "could",
    "should",
    "have",
    "has",
    "had",
    "must",
]
"""What `n't` is written to."""
SHARED = 0.5
"""Share of its content words that a text in other words keeps, and of the new ones that are old."""
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


_SENSE = {
    word: group[0]
    for group in (
        ("i", "me", "my", "mine"),
        ("you", "your", "yours"),
        ("he", "him", "his"),
        ("she", "her", "hers"),
        ("we", "us", "our", "ours"),
        ("they", "them", "their", "theirs"),
        ("or",),
        ("unless",),
        ("not", "no", "never", "cannot", "without"),
        ("not", *(f"{verb}n{mark}t" for verb in NEGATED for mark in ("", "'", "’"))),
        ("不", *"没无未非别勿莫否"),
        *((digit,) for digit in "零一二三四五六七八九十百千万亿两半我你您他她它"),
    )
    for word in group
}
"""Words that decide who does it and whether it is so, and what each stands for."""


def same_subject(original: str, new: str) -> bool:
    """Whether most of what a new text speaks of is in the original."""
    told, there = terms(new), set(terms(original))
    return bool(told) and sum(term in there for term in told) >= 0.5 * len(told)


def alike(original: str, new: str) -> bool:
    """Whether a new text is the original with small changes and no other content."""
    if not 0.85 <= len(new) / max(1, len(original)) <= 1.2:
        return False
    if _alike(_tokens(original), _tokens(new)) >= 0.75:
        return True
    return len(original) <= SHORT and _alike(original, new) >= 0.85


def keeps_meaning(original: str, new: str) -> bool:
    """Whether a text in other words says what the original says, as far as words tell: the same
    names, numbers, persons and denials, and most of its content.
    """
    if not new or not 0.5 <= len(new) / max(1, len(original)) <= 1.6:
        return False
    before, after = set(terms(original)), set(terms(new))
    shared = len(before & after)
    if shared < SHARED * len(before) or shared < SHARED * len(after):
        return False
    return not changes(original, new) and set(_sense(original)) == set(_sense(new))


def keeps_words(old: str, fresh: str) -> bool:
    """Whether an edit keeps the word: a letter, an ending, a small word more or less.

    It keeps who and whether: no pronoun becomes another's, no negation comes or goes.
    """
    if _sense(old) != _sense(fresh):
        return False
    if is_chinese(old or fresh):
        return len(old) <= 2 and len(fresh) <= 2
    if len(old.split()) > 3 or len(fresh.split()) > 3:
        return False
    if not terms(old) and not terms(fresh):
        return True
    return _alike(old.lower(), fresh.lower()) >= 0.5


def _sense(text: str) -> Counter[str]:
    """The small words of a text that decide what it says, each by what it stands for."""
    found = re.findall(r"[a-z]+(?:['’][a-z]+)?|[\u4e00-\u9fff]", text.lower())
    return Counter(_SENSE[word] for word in found if word in _SENSE)


def _alike(one: Sequence[str], other: Sequence[str]) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _tokens(text: str) -> list[str]:
    return list(text.replace("\n", " ")) if is_chinese(text) else text.split()


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
