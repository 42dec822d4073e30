"""Relevance: it tells answers from misses, and can be fitted to a collection."""

import pytest

from knowledge.calibration import DEFAULT, below, fit
from knowledge.relevance import Signs, signs
from llmasos.errors import InvalidRequest
from llmasos.language.questions import Question
from llmasos.retrieval import Passage

ANSWER = Signs(gap=0.3, stands=0.5, evidence=0.8, holds=1.0)
MISS = Signs(gap=0.05, stands=0.2, evidence=0.3, holds=0.0)


def passage(text: str, score: float = 0.6) -> Passage:
    return Passage(collection="c", source="a.md", title="", text=text, span=(0, 9), score=score)


def test_an_answer_is_more_relevant_than_a_miss() -> None:
    assert DEFAULT.relevance(ANSWER) > 0.8
    assert DEFAULT.relevance(MISS) < 0.2


def test_a_passage_that_holds_what_is_asked_for_shows_it() -> None:
    asked = Question.of("How long do refunds take?")

    held = signs(asked, [0.6, 0.2], [passage("Refunds take 14 days.")])
    missed = signs(asked, [0.6, 0.2], [passage("Our office is closed on Sunday.")])

    assert held.holds == 1
    assert missed.holds == 0
    assert held.evidence > missed.evidence


def test_nothing_found_has_no_relevance() -> None:
    assert DEFAULT.relevance(signs(Question.of("anything"), [], [])) < 0.1


def test_a_passage_below_the_best_is_less_relevant() -> None:
    assert below(0.9, best=0.7, score=0.7) == 0.9
    assert below(0.9, best=0.7, score=0.5) < 0.5


def test_a_fit_learns_what_a_collection_is_like() -> None:
    inverted = [(MISS, True), (ANSWER, False)] * 200

    fitted = fit(inverted, DEFAULT)

    assert fitted.relevance(MISS) > fitted.relevance(ANSWER)
    assert fitted.questions == 400


def test_a_few_cases_change_little() -> None:
    fitted = fit([(MISS, True), (ANSWER, False)], DEFAULT)

    assert fitted.relevance(ANSWER) > fitted.relevance(MISS)


def test_cases_of_one_kind_cannot_be_fitted() -> None:
    with pytest.raises(InvalidRequest, match="with and without"):
        fit([(ANSWER, True)], DEFAULT)
