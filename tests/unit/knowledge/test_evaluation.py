"""Evaluation: the measures, the test of two runs, and the page."""

from pathlib import Path

import numpy as np
import pytest

from knowledge.evaluation import (
    Judged,
    Outcome,
    auroc,
    cases,
    compare,
    evaluate,
    judge,
    read_judged,
    summary,
)
from knowledge.evaluation_page import page
from llmasos.errors import InvalidRequest
from llmasos.request import LOCAL
from llmasos.retrieval import Passage
from llmasos.testing.retrieval import ListRetriever


def passage(source: str, text: str = "text", relevance: float | None = None) -> Passage:
    return Passage(
        collection="help",
        source=source,
        title="",
        text=text,
        span=(0, len(text)),
        score=0.5,
        relevance=relevance,
    )


def outcome(ndcg: float, *, answerable: bool = True, relevance: float = 0.5) -> Outcome:
    return Outcome(
        query="q",
        answerable=answerable,
        found=[],
        relevance=relevance,
        ndcg=ndcg,
        recall=ndcg,
        mrr=ndcg,
        hit=ndcg,
    )


def test_a_relevant_document_in_second_place() -> None:
    found = judge(Judged(query="q", relevant={"b.md"}), [passage("a.md"), passage("b.md")])

    assert found.ndcg == pytest.approx(1 / np.log2(3))
    assert (found.mrr, found.recall, found.hit) == (0.5, 1, 1)


def test_passages_of_one_document_count_once() -> None:
    passages = [passage("a.md#one"), passage("a.md#two"), passage("b.md")]

    assert judge(Judged(query="q", relevant={"b.md"}), passages).found == ["a.md", "b.md"]


def test_a_fragment_that_was_judged_counts_by_itself() -> None:
    found = judge(Judged(query="q", relevant={"a.md#two"}), [passage("a.md#two")])

    assert found.ndcg == 1


def test_a_query_without_an_answer_has_no_ndcg() -> None:
    found = judge(Judged(query="q"), [passage("a.md", relevance=0.2)])

    assert (found.answerable, found.ndcg, found.relevance) == (False, None, 0.2)


def test_auroc_counts_ties_half() -> None:
    scores, answerable = np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False])

    assert auroc(scores, answerable) == 0.875


def test_a_retriever_is_asked_each_query() -> None:
    retriever = ListRetriever([passage("refunds.md", "refunds take days"), passage("plans.md")])
    judged = [Judged(query="refunds", relevant={"refunds.md"}), Judged(query="plans")]

    run = evaluate(retriever, "help", judged, LOCAL)

    assert (run.queries, run.ndcg, run.hit) == (2, 1, 1)
    assert retriever.queries == ["refunds", "plans"]


def test_calibrating_sees_each_question_with_and_without_its_page() -> None:
    retriever = ListRetriever([passage("refunds.md", "Refunds take days."), passage("plans.md")])
    judged = [Judged(query="how long do refunds take", relevant={"refunds.md"})]

    (intact, answered), (without, unanswered) = cases(retriever, "help", judged, LOCAL)

    assert (answered, unanswered) == (True, False)
    assert intact.evidence > without.evidence


def test_a_real_difference_is_told_from_chance() -> None:
    low = summary([outcome(0.2 + n % 3 / 10) for n in range(60)])
    high = summary([outcome(0.5 + n % 4 / 10) for n in range(60)])

    ndcg = compare(low, high)[0]

    assert ndcg.difference > 0
    assert ndcg.interval[0] > 0
    assert ndcg.p < 0.001


def test_a_run_does_not_differ_from_itself() -> None:
    run = summary([outcome(n / 30) for n in range(30)])

    assert [each.p for each in compare(run, run)] == [1.0] * 4


def test_runs_of_other_queries_are_not_compared() -> None:
    with pytest.raises(InvalidRequest, match="same queries"):
        compare(summary([outcome(1)]), summary([outcome(1), outcome(0)]))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"query": "a", "relevant": ["x"]}\n{"queri": "b"}', "line 2: query"),
        ("not json", "line 1"),
        ("\n", "holds no queries"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text(content)

    with pytest.raises(InvalidRequest, match=said):
        read_judged(path)


def test_the_page_holds_figures_plots_and_no_markup_of_the_queries() -> None:
    hostile = outcome(0.4, relevance=0.9).model_copy(update={"query": "<script>x</script>"})
    run = summary([hostile, outcome(1.0), outcome(0.0, answerable=False, relevance=0.1)])

    html = page("help & more", run, compare(run, run))

    assert "<script>" not in html
    assert "help &amp; more" in html
    assert html.count("<svg") == 2
    assert "http" not in html
