"""Is a sentence supported by its sources? Told without a model, and strictly.

A sentence is supported when a few sentences of one passage hold its words, its numbers and its
names, in about the same order, and neither denies what the other states. What is doubtful is not
supported. Knows nothing of agents. Start reading at `support`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llmasos.language.lexicon import OPPOSITES
from llmasos.language.words import names, numbers, sentences, stem, terms
from llmasos.retrieval import Passage

SHARE = 0.8
"""Share of a sentence's terms that its evidence must hold."""
IN_ORDER = 0.7
"""Share of the common terms that must stand in the same order."""
LEAST_TERMS = 3
"""A sentence with fewer terms states too little to be checked."""
SPAN = 3
"""How many sentences of a passage may support one together."""

_DENIES = re.compile(
    r"\b(?:not|no|never|none|neither|nor|nobody|nothing|without|cannot|unable|only|unless|except)\b"
    r"|n['’]t\b|不|没|无法|未|非|勿|除非|仅|只",
    re.IGNORECASE,
)
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
    said = terms(sentence)
    if len(said) < LEAST_TERMS:
        return None
    best: Support | None = None
    for index, passage in enumerate(passages):
        parts = sentences(passage.text)
        held = [terms(part.text) for part in parts]
        for length in range(1, SPAN + 1):
            for first in range(len(parts) - length + 1):
                last = first + length
                span = (parts[first].start, parts[last - 1].end)
                share = _share(said, [term for each in held[first:last] for term in each])
                # Spans grow: of two that hold as much, the shorter one comes first and stays.
                if share >= SHARE and (best is None or share > best.share):
                    text = passage.text[span[0] : span[1]]
                    if _agrees(sentence, text, passage.title):
                        best = Support(index, span, share)
    return best


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
    """Whether numbers and names are there, and nothing is denied on one side only."""
    around = f"{title}\n{text}"
    if not numbers(sentence) <= numbers(around):
        return False
    if any(name not in around.lower() for name in names(sentence)):
        return False
    if any(code not in around for code in _CODE.findall(sentence)):
        return False
    said, held = _words(sentence), _words(text)
    if any(_OPPOSITES[word] in held and word not in held for word in said & _OPPOSITES.keys()):
        return False
    nearest = max(
        sentences(text), key=lambda part: len(set(terms(part.text)) & set(terms(sentence)))
    )
    return bool(_DENIES.search(sentence)) == bool(_DENIES.search(nearest.text))


def _words(text: str) -> set[str]:
    return {stem(word) for word in re.findall(r"[a-z]+", text.lower())}
