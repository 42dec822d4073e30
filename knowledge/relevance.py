"""Relevance: how likely it is that what was found answers the query, in [0, 1].

A score orders passages of one query; it does not tell an answer from the nearest miss (the top
cosine alone hardly does: AUROC 0.53 on one product's help pages). These signs look beyond it: how
far the best stands out of the rest, which is where both halves agree, and whether the best texts
hold the query's rare words, its names and numbers, and the kind of fact that it asks for
(`llmasos/language/questions.py`). Knows rankings and texts only. Start reading at `signs`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from llmasos.language.questions import Question, find_evidence, holding
from llmasos.retrieval import Passage

READ = 5
"""Passages whose texts are looked at."""
REST, SEEN = 9, 30
"""From the tenth to the thirtieth, what was found is merely on the subject."""


class Signs(NamedTuple):
    """What tells an answer from a miss, each about in [0, 1]."""

    gap: float
    """How far the tenth score is below the best."""
    stands: float
    """How many deviations the best score is above the mean of those from the tenth on, by ten."""
    evidence: float
    """How well the best few sentences fit the question: words by their weight, nearness, kind."""
    holds: float
    """1 when they hold everything that the question cannot be answered without."""


def signs(question: Question, scores: Sequence[float], passages: Sequence[Passage]) -> Signs:
    """The signs of what was found.

    scores: of what was found, best first; about thirty tell enough. passages: the best of them.
    """
    if not scores or not passages:
        return Signs(0.0, 0.0, 0.0, 0.0)
    evidence = find_evidence(question, passages[:READ])
    return Signs(
        gap=scores[0] - scores[min(REST, len(scores) - 1)],
        stands=_stands(scores[:SEEN]),
        evidence=evidence[0].score if evidence else 0.0,
        holds=float(bool(holding(question, evidence))),
    )


def _stands(scores: Sequence[float]) -> float:
    rest = scores[REST:] or scores[-1:]
    mean = sum(rest) / len(rest)
    deviation = math.sqrt(sum((score - mean) ** 2 for score in rest) / len(rest))
    return min(2.0, (scores[0] - mean) / (deviation + 0.02) / 10)
