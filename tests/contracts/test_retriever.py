"""Every retriever finds, refuses and orders alike."""

import pytest

from knowledge import KnowledgeBase
from llmasos.errors import InvalidRequest, UnknownCollection
from llmasos.request import LOCAL
from llmasos.retrieval import Passage
from llmasos.testing.retrieval import HashingEmbedder, ListRetriever

PAGES = {
    "help": {"refunds.md": "Refunds take fourteen days.", "plans.md": "The free plan has limits."},
    "code": {"style.md": "Functions fit a screen."},
}


def listed(tmp_path):
    return ListRetriever(
        [
            Passage(collection=name, source=source, title="", text=text, span=(0, 9), score=0)
            for name, pages in PAGES.items()
            for source, text in pages.items()
        ]
    )


def stored(tmp_path):
    base = KnowledgeBase(tmp_path / "knowledge", HashingEmbedder())
    for name, pages in PAGES.items():
        for source, text in pages.items():
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / source).write_text(text)
        base.add(name, sorted((tmp_path / name).iterdir()))
    return base


@pytest.fixture(params=[listed, stored], ids=["ListRetriever", "KnowledgeBase"])
def retriever(request, tmp_path):
    return request.param(tmp_path)


def test_the_best_passage_comes_first(retriever):
    found = retriever.search("how many days do refunds take", collections=["help"], principal=LOCAL)

    assert found[0].source == "refunds.md"
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert all(-1 <= each.score <= 1 for each in found)


def test_no_more_than_k_come_from_all_collections_together(retriever):
    found = retriever.search("the", collections=["help", "code"], principal=LOCAL, k=2)

    assert len(found) == 2


def test_only_the_collections_that_are_named_are_searched(retriever):
    found = retriever.search("refunds", collections=["code"], principal=LOCAL, k=9)

    assert {each.collection for each in found} == {"code"}


def test_no_collections_no_passages(retriever):
    assert retriever.search("refunds", collections=[], principal=LOCAL) == []


def test_a_collection_that_does_not_exist_is_named_with_the_nearest(retriever):
    with pytest.raises(UnknownCollection, match="Did you mean 'help'"):
        retriever.search("refunds", collections=["code", "helps"], principal=LOCAL)


@pytest.mark.parametrize(("query", "k"), [("", 5), (" \n", 5), ("refunds", 0), ("refunds", -1)])
def test_a_search_for_nothing_is_refused(retriever, query, k):
    with pytest.raises(InvalidRequest):
        retriever.search(query, collections=["help"], principal=LOCAL, k=k)
