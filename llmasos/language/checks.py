"""Is a sentence supported by its sources? Told without a model, and strictly.

A sentence is supported when one sentence of a passage holds nearly all of its words, in about the
same order, all of its numbers and names, and neither denies or ties to a condition what the other
states outright; a sentence of two clauses, when each is supported so and their sources stand side
by side. What is doubtful is not supported: a quote can always stand in its place.
Knows nothing of agents. Start reading at `support`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llmasos.language.lexicon import OPPOSITES
from llmasos.language.words import Sentence, is_chinese, names, numbers, sentences, stem, terms
from llmasos.retrieval import Passage

SHARE = 0.9
"""Share of a clause's terms that its evidence must hold: below ten terms, all of them."""
SHARE_CJK = 0.75
"""The same for pairs of characters: a little word put between two breaks their pair."""
IN_ORDER = 0.7
"""Share of the common terms that must stand in the same order."""
LEAST_TERMS = 3
"""A clause with fewer terms states too little to be checked."""

_DENIES = re.compile(
    r"\b(?:not|no|never|none|neither|nor|nobody|nothing|without|cannot|unable|only|unless|except)\b"
    r"|n['’]t\b|不|没|无法|未|非|勿|除非|仅|只",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\b(?:if|unless|until|till|provided|as long as|in case|once)\b|如果|若|除非|只要|一旦|的话",
    re.IGNORECASE,
)
_JOINED = re.compile(r";\s+|,?\s+and\s+|[；，]", re.IGNORECASE)
_CODE = re.compile(r"`[^`]+`|[\w@/.-]+[:=/_@#][\w@/.:=#-]*\w")
"""Code, settings, addresses: right only letter by letter."""
_OPPOSITES = {stem(word): stem(other) for pair in OPPOSITES for word, other in (pair, pair[::-1])}


@dataclass(frozen=True)
class Support:
    """What supports a sentence."""

    passage: int
    """Which of the passages."""
    span: tuple[int, int]
    """Where in the passage's text: [start, end) in characters."""
    share: float
    """The share of the sentence's terms that it holds."""


def support(sentence: str, passages: Sequence[Passage]) -> Support | None:
    """The piece of a passage that supports a sentence; None when none does."""
    for index, passage in enumerate(passages):
        parts = sentences(passage.text)
        if found := _by_one(sentence, parts, passage) or _by_two(sentence, parts, passage):
            first, last, share = found
            return Support(index, (parts[first].start, parts[last].end), share)
    return None


def _by_one(
    clause: str, parts: Sequence[Sentence], passage: Passage
) -> tuple[int, int, float] | None:
    """First and last of the sentences that support a clause (here the same), and the share."""
    said = terms(clause)
    if len(said) < LEAST_TERMS:
        return None
    enough = SHARE_CJK if is_chinese(clause) else SHARE
    shares = [_share(said, terms(part.text)) for part in parts]
    for at in sorted(range(len(parts)), key=lambda each: -shares[each]):
        if shares[at] < enough:
            return None
        if _agrees(clause, parts[at].text, passage.title):
            return at, at, shares[at]
    return None


def _by_two(
    sentence: str, parts: Sequence[Sentence], passage: Passage
) -> tuple[int, int, float] | None:
    """The two sentences side by side that support its two clauses."""
    if _CONDITION.search(sentence):
        return None  # what holds under a condition is not put together from two places
    for joint in _JOINED.finditer(sentence):
        one = _by_one(sentence[: joint.start()], parts, passage)
        two = _by_one(sentence[joint.end() :], parts, passage) if one else None
        if one and two and abs(one[0] - two[0]) <= 1:
            return min(one[0], two[0]), max(one[0], two[0]), min(one[2], two[2])
    return None


def _share(said: Sequence[str], held: Sequence[str]) -> float:
    """The share of the terms that are held, and in about the same order; else 0."""
    there = set(held)
    common = [term for term in said if term in there]
    if len(common) > 2 and _longest_in_order(common, held) < IN_ORDER * len(common):
        return 0.0
    return len(common) / len(said)


def _longest_in_order(some: Sequence[str], others: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(others) + 1)
    for one in some:
        above = row
        row = [0]
        for column, other in enumerate(others):
            row.append(above[column] + 1 if one == other else max(above[column + 1], row[column]))
    return row[-1]


def _agrees(sentence: str, text: str, title: str) -> bool:
    """Whether numbers and names are there, and nothing is denied, or tied to a
    condition, on one side only.
    """
    around = f"{title}\n{text}"
    if not numbers(sentence) <= numbers(text):
        return False
    if any(name not in around.lower() for name in names(sentence)):
        return False
    if any(code not in around for code in _CODE.findall(sentence)):
        return False
    said, held = _words(sentence), _words(text)
    if any(_OPPOSITES[word] in held and word not in held for word in said & _OPPOSITES.keys()):
        return False
    return all(
        bool(pattern.search(sentence)) == bool(pattern.search(text))
        for pattern in (_DENIES, _CONDITION)
    )


def _words(text: str) -> set[str]:
    return {stem(word) for word in re.findall(r"[a-z]+", text.lower())}
