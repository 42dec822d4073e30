"""Continuity of a long piece: what its sections, written apart, say differently of the same thing.

Numbers that disagree in sentences on the same thing, names spelled in two ways, and a section that
says "I" where the others say "we". Nothing is changed: a reader is told. Knows only text. Start
reading at `breaks`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import combinations

from llmasos.language.phrases import say
from llmasos.language.words import names, numbers, sentences, stem, terms

SAME_THING = 0.6
"""Share of their terms that two sentences on the same thing have in common."""
FEWEST_TERMS = 3
ALIKE = 0.85
"""Share of letters that two spellings of a name have in common."""
SHORTEST_NAME = 5
MOST = 5
"""Remarks of each kind: more tell a reader nothing new."""
_PERSONS = {
    "we": re.compile(r"\b(?:we|our|ours|us)\b|我们|咱们", re.IGNORECASE),
    "i": re.compile(r"\b(?:I|my|mine|me)\b|我(?!们)"),
}
Section = tuple[str, str]
"""Heading and text."""


def breaks(asked: str, sections: Sequence[Section]) -> list[str]:
    """What a reader should look at, in the language of the message that asked for the piece."""
    found: list[str] = []
    for pairs, phrase in (
        (_disagreeing(sections), "numbers_disagree"),
        (_misspelt(sections), "names_differ"),
    ):
        told = list(dict.fromkeys(pairs))[:MOST]
        found += [say(phrase, asked, one=one, other=other) for one, other in told]
    return found + [say("voice_differs", asked, heading=each) for each in _voices(sections)]


def _disagreeing(sections: Sequence[Section]) -> Iterator[tuple[str, str]]:
    """Sentences of two sections that say the same of a thing, but for the number."""
    told = [
        [
            (each.text, frozenset(numbers(each.text)), _words(each.text))
            for each in sentences(body)
            if numbers(each.text)
        ]
        for _, body in sections
    ]
    for earlier, later in combinations(told, 2):
        for one, first, about in earlier:
            for other, second, again in later:
                enough = len(about) >= FEWEST_TERMS and len(again) >= FEWEST_TERMS
                same = len(about & again) >= SAME_THING * len(about | again)
                if enough and same and first.isdisjoint(second):
                    yield one, other


def _words(text: str) -> frozenset[str]:
    """The terms of a sentence that are no numbers."""
    return frozenset(term for term in terms(text) if not any(map(str.isdigit, term)))


def _misspelt(sections: Sequence[Section]) -> Iterator[tuple[str, str]]:
    """Names of different sections that differ by a letter or two."""
    for (_, one), (_, other) in combinations(sections, 2):
        for first in sorted(names(one) - names(other)):
            for second in sorted(names(other) - names(one)):
                if min(len(first), len(second)) >= SHORTEST_NAME and _near(first, second):
                    yield _as_written(first, one), _as_written(second, other)


def _near(one: str, other: str) -> bool:
    """Whether two names may be one, misspelt; forms of one word are not."""
    if stem(one) == stem(other) or one in other or other in one:
        return False
    if any(map(str.isdigit, one + other)):
        return False
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= ALIKE


def _as_written(name: str, text: str) -> str:
    found = re.search(re.escape(name), text, re.IGNORECASE)
    return found[0] if found else name


def _voices(sections: Sequence[Section]) -> list[str]:
    """The headings of sections that speak in another person than most of the piece."""
    voices = {heading: _voice(body) for heading, body in sections}
    most = Counter(voice for voice in voices.values() if voice).most_common(1)
    return [heading for heading, voice in voices.items() if voice and voice != most[0][0]]


def _voice(text: str) -> str:
    """The person that a text speaks in; empty when it does not say, or says both as often."""
    said = {voice: len(pattern.findall(text)) for voice, pattern in _PERSONS.items()}
    if said["we"] == said["i"]:
        return ""
    return max(said, key=said.__getitem__)
