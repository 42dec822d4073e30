"""How much each half of the search counts for one query: the formula, and where it comes from.

A row is scored by its cosine plus `weight` times its share: BM25 as a part of the best row's. The
weight is the query's own, since a half that fails must not drag the other down: a fixed one loses
to the better half on German questions (cosines of an English model) or on questions in other words
than the answer's (keywords). Knows numbers and the query's words only.

The coefficients are set by hand, near those that maximise the likelihood of the judged documents
(softmax over candidates) on SciFact's training claims, every second MedQuAD question, and NTREX's
headlines in German, French and Chinese. They were compared on XQuAD, Zulip's help pages and SciFact
as well, so figures on these are of development. Cosines of all-MiniLM-L6-v2 are meant;
`benchmarks/knowledge_quality.py` measures.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)
LETTER = re.compile(r"[^\W\d_]")
WORD = re.compile(r"[^\W\d_]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text))


ENGLISH = _words(
    "the of and to a in is what who how which when where was were did does do for on with by be "
    "are from can i we my our not that this it you why there an as at or if have has"
)
"""Words that tell English from its neighbours."""
OTHERS = _words(
    "der die das und ist was wie wer welche welcher welches von zu den im ein eine wurde werden "
    "sind mit auf für nicht le la les des du un une est et qui que quel quelle dans pour par sur "
    "el los las del una es y en por para con qué cuál quién cómo il lo gli di che è per chi quale "
    "o os um uma da em não het een van wat wie welke voor met och att det som på är av og er til "
    "jak czy jest się nie na w z i"
)
"""Words that tell their languages from English; those in both tell nothing."""


class Shape(NamedTuple):
    """What the answers of the two halves look like for a query."""

    foreign: float
    """1 when the query is in a language that the embedding model does not read, else 0."""
    cover: float
    """BM25 of the best row by keywords, as a part of what a row with every term would have."""
    peak: float
    """How far the tenth row by keywords is below the best, as a part of the best."""


@dataclass(frozen=True)
class Weighing:
    """The weight of keywords beside a cosine: `exp(base + foreign·f + cover·c + peak·p)`."""

    base: float = -1.3
    foreign: float = 0.5
    cover: float = -1.3
    peak: float = 0.5
    least: float = 0.05
    most: float = 2.0

    def weight(self, shape: Shape) -> float:
        """What a share of 1 is worth in cosines."""
        power = (
            self.base
            + self.foreign * shape.foreign
            + self.cover * shape.cover
            + self.peak * shape.peak
        )
        return min(self.most, max(self.least, math.exp(power)))


def is_english(text: str) -> bool:
    """Whether a query may be English: not one in another script, or with another's small words."""
    letters = LETTER.findall(text)
    if sum(letter > "\u024f" for letter in letters) > 0.3 * len(letters):
        return False
    words = WORD.findall(text.lower())
    english = sum(word in ENGLISH and word not in OTHERS for word in words)
    return sum(word in OTHERS and word not in ENGLISH for word in words) <= english


def shape(keyword_scores: Sequence[float], ideal: float, *, foreign: bool) -> Shape:
    """The shape of a query's answers.

    keyword_scores: BM25 of the rows found by keywords, best first. ideal: BM25 of a row that holds
    every term once, at mean length.
    """
    best = keyword_scores[0] if keyword_scores else 0.0
    tenth = keyword_scores[min(9, len(keyword_scores) - 1)] if keyword_scores else 0.0
    return Shape(
        foreign=float(foreign),
        cover=best / ideal if ideal else 0.0,
        peak=(best - tenth) / best if best else 0.0,
    )
