"""What a view shows: the right rows of version and tail, and nothing that may not be read."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knowledge.collection import Collection
from knowledge.filters import Filter
from knowledge.folders import create_collection
from llmasos.errors import UnknownCollection
from llmasos.request import LOCAL, Principal
from tests.unit.knowledge.conftest import EMBEDDER, Shelf

HR = Principal(id="slack:T1:U1", groups=("hr",))
WORDS = ("salary", "refund", "invoice", "plan", "holiday")

documents = st.tuples(
    st.sampled_from("abcdef"), st.lists(st.sampled_from(WORDS), min_size=1, max_size=6)
)
readers = st.sampled_from([None, ["group:hr"], ["team:T2"], ["everyone"]])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), documents, readers),
        st.tuples(st.just("remove"), st.sampled_from("abcdef")),
        st.tuples(st.just("readers"), st.sampled_from("abcdef"), readers),
        st.tuples(st.just("publish")),
    ),
    min_size=3,
    max_size=14,
)


def test_rows_of_version_and_tail_are_found_as_one(shelf):
    help_ = shelf()
    help_.put({"a.md": "refund money", "b.md": "invoice money", "c.md": "plan"})
    help_.publish()
    help_.put({"d.md": "refund refund money", "b.md": "holiday"})

    assert {source for source, _ in help_.nearest("money", k=9)} == {"a.md", "b.md", "c.md", "d.md"}
    assert [source for source, _ in help_.matching(["refund"])] == ["d.md", "a.md"]
    assert help_.matching(["invoice"]) == []
    assert help_.count() == 4


def test_rows_have_their_chunks_scores_and_vectors(shelf):
    help_ = shelf()
    help_.put({"a.md": ["refund money", "plan"]})
    help_.publish()
    help_.put({"b.md": ["holiday", "refund"]})

    with help_.collection.view(LOCAL, Filter()) as view:
        hits = view.matching(["refund"], 5)
        rows = [hit.row for hit in reversed(hits)]

        assert [each.chunk.text for each in view.chunks(rows)] == ["refund money", "refund"]
        assert view.scores(["refund"], rows) == pytest.approx([h.score for h in reversed(hits)])
        assert view.vectors(rows) == pytest.approx(
            EMBEDDER.embed([each.chunk.embedded for each in view.chunks(rows)]), abs=1e-3
        )


def test_readers_of_a_document_hold_at_once_and_for_its_later_contents(shelf):
    help_ = shelf()
    help_.put({"pay.md": "salary table", "a.md": "refund"})
    help_.publish()
    with help_.collection.write() as draft:
        draft.set_document_readers(["pay.md"], ["group:hr"])

    assert help_.matching(["salary"]) == []
    assert help_.matching(["salary"], principal=HR) != []

    help_.remove("pay.md")
    help_.put({"pay.md": "salary table of next year"})
    help_.publish()
    assert help_.matching(["salary"]) == []
    assert help_.count() == 1
    assert help_.count(HR) == 2


def test_a_collection_that_may_not_be_read_has_no_view(shelf):
    help_ = shelf()
    help_.put({"a.md": "refund"}, readers=["everyone"])
    with help_.collection.write() as draft:
        draft.set_readers(["group:hr"])

    with pytest.raises(UnknownCollection):
        help_.count(LOCAL)
    assert help_.count(HR) == 1


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"lang": "de"}, {"guide/a.md"}),
        ({"lang": ["de", "en"]}, {"guide/a.md", "guide/b.md"}),
        ({"path": "guide/*"}, {"guide/a.md", "guide/b.md"}),
        ({"path": "guide/*", "lang": "en"}, {"guide/b.md"}),
        ({"source": "c.md"}, {"c.md"}),
        ({"year": 2024}, {"c.md"}),
        ({"tags": "new"}, {"c.md"}),
        ({"lang": "e?"}, {"guide/b.md"}),
        ({"path": "[gc]*"}, set()),
        ({"lang": []}, set()),
        ({"no": "such"}, set()),
    ],
)
def test_a_filter_narrows_what_is_found_in_version_and_tail(shelf, wanted, found):
    help_ = shelf()
    help_.put({"guide/a.md": "refund"}, lang="de")
    help_.put({"guide/b.md": "refund"}, lang="en")
    help_.publish()
    help_.put({"c.md": "refund"}, year=2024, tags=["new", "old"])

    assert {source for source, _ in help_.nearest("refund", wanted=wanted)} == found
    assert {source for source, _ in help_.matching(["refund"], wanted=wanted)} == found
    assert help_.count(wanted=wanted) == len(found)


@given(steps=steps)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_view_is_that_of_a_collection_with_nothing_else_in_it(tmp_path_factory, steps):
    """Whatever happened: rows, counts, statistics and scores are as if the rest did not exist."""
    place = tmp_path_factory.mktemp("shelves")
    mixed, pages, rights = made(place / "mixed"), {}, {}
    for step in steps:
        apply(step, mixed, pages, rights)
    for principal, own in ((LOCAL, "everyone"), (HR, "group:hr")):
        visible = {
            source: text
            for source, text in pages.items()
            if {own, "everyone"} & set(rights.get(source) or ["everyone"])
        }
        alone = made(place / own.replace(":", "-"))
        alone.put(visible)

        assert told(mixed, principal) == told(alone, principal)
        assert scored(mixed, principal) == pytest.approx(scored(alone, principal), abs=2e-3)


def apply(step, shelf, pages, rights):
    """Do one thing to a collection, and note what it must hold then."""
    match step:
        case ("put", (source, words), readers):
            pages[source] = " ".join(words)
            if readers is not None:
                rights[source] = readers
            shelf.put({source: pages[source]}, readers)
        case ("remove", source):
            pages.pop(source, None)
            shelf.remove(source)
        case ("readers", source, readers):
            rights[source] = readers
            with shelf.collection.write() as draft:
                draft.set_document_readers([source], readers)
        case _:
            shelf.publish()
    shelf.count()  # a reader that follows each step


def told(shelf, principal):
    with shelf.collection.view(principal, Filter()) as view:
        statistics = view.statistics(WORDS)
        holding = {term: held for term, held in statistics.holding.items() if held}
        return (statistics.rows, statistics.tokens, holding, view.count)


def scored(shelf, principal):
    near = shelf.nearest("salary refund", 20, principal)
    matching = shelf.matching(["salary", "plan"], 20, principal)
    return dict(near) | {f"{s} matches": n for s, n in matching}


def made(folder):
    create_collection(folder, EMBEDDER.model, 32)
    return Shelf(Collection(folder))
