"""From signs to a relevance in [0, 1]: a logistic model, its default, and how to fit another.

Coefficients are a small table that a person can read. The default was fitted on pairs of one
question with and without the page that answers it: parts of XQuAD (English, German) and MedQuAD,
each set as heavy as the others. Which signs there are was chosen, and the rules behind `evidence`
and `holds` were written, with the 40 development questions on Zulip's help pages at hand; the
coefficients did not see them. A
collection's own are fitted from judged questions by `llmasos knowledge evaluate --calibrate`.
Knows numbers only.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from knowledge.relevance import Signs
from llmasos.errors import InvalidRequest

RIDGE = 1.0
"""How strongly a fit is held to the coefficients that it starts from."""
ROUNDS, ENOUGH = 50, 1e-6
"""Most steps of a fit, and the step after which it is done."""
Coefficients = npt.NDArray[np.float64]
FALL = 12.0
"""How fast relevance falls below the best passage, for each unit of score."""


class Calibration(BaseModel):
    """What each sign adds to the log odds that a query is answered."""

    model_config = ConfigDict(frozen=True)

    bias: float
    signs: Mapping[str, float]
    """By the names of `Signs`; those that are not named add nothing."""
    questions: int = 0
    """How many cases it was fitted on."""

    def relevance(self, signs: Signs) -> float:
        """How likely the best passage is to answer, in [0, 1]."""
        odds = self.bias + sum(weight * getattr(signs, name) for name, weight in self.signs.items())
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))


DEFAULT = Calibration(
    bias=-3.47, signs={"gap": 2.7, "stands": 0.76, "evidence": 4.4, "holds": 0.81}
)
"""What holds for a collection that was not calibrated."""


def below(relevance: float, best: float, score: float) -> float:
    """The relevance of a passage with a lower score than the best, whose relevance is given."""
    return relevance * math.exp(-FALL * max(0.0, best - score))


def fit(cases: Sequence[tuple[Signs, bool]], start: Calibration) -> Calibration:
    """The most likely calibration for judged cases, held to the one it starts from.

    cases: the signs of a query and whether it was answered. With few cases little changes.
    Newton's method on the penalised likelihood. Raises InvalidRequest unless both kinds are there.
    """
    answered = np.array([float(each) for _, each in cases])
    if not 0 < answered.sum() < len(cases):
        raise InvalidRequest(
            "Calibrating needs questions with and without an answer. Judge some of each."
        )
    names = list(start.signs)
    rows = np.array([[1.0, *(getattr(signs, name) for name in names)] for signs, _ in cases])
    prior = np.array([start.bias, *start.signs.values()])
    ridge = np.diag([RIDGE / 100] + [RIDGE] * len(names))

    def loss(at: Coefficients) -> float:
        odds = (1 - 2 * answered) * (rows @ at)
        return float(np.logaddexp(0, odds).sum() + (at - prior) @ ridge @ (at - prior) / 2)

    found = prior.copy()
    for _ in range(ROUNDS):
        likely = 1 / (1 + np.exp(-np.clip(rows @ found, -30, 30)))
        slope = rows.T @ (likely - answered) + ridge @ (found - prior)
        bend = (rows * (likely * (1 - likely))[:, None]).T @ rows + ridge
        step = np.linalg.solve(bend, slope)
        while loss(found - step) > loss(found) and np.abs(step).max() > ENOUGH:
            step /= 2  # too far: the curve is flat where a first guess is badly wrong
        found -= step
        if np.abs(step).max() <= ENOUGH:
            break
    weights = dict(zip(names, found[1:].round(4).tolist(), strict=True))
    return Calibration(bias=round(float(found[0]), 4), signs=weights, questions=len(cases))
