"""The keyword index: what it finds, that its scores are exact, and that nothing hidden shows."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.bags import Bags, Entry, Statistics
from knowledge.keywords import KeywordIndex
from knowledge.terms import terms
from llmasos.errors import IndexDamaged

WORDS = [f"w{n}" for n in range(300)]


def entries(count: int, *, seed: int = 1, first: int = 0) -> list[Entry]:
    """Rows of random words, some common and some rare, in four access classes."""
    pick = random.Random(seed)
    return [
        Entry(
            first + row,
            row % 4,
            " ".join(
                WORDS[min(299, int(pick.expovariate(0.02)))] for _ in range(pick.randint(3, 60))
            ),
        )
        for row in range(count)
    ]


def with_often() -> list[Entry]:
    """Those rows, most of which hold one word more."""
    return [each._replace(text=each.text + " often" * (each.row % 13)) for each in entries(6_000)]


def exactly(rows: list[Entry], asked: list[str], k: int, known: Statistics) -> list[int]:
    """The best rows, found by looking at each."""
    return [hit.row for hit in Bags.of(rows).search(asked, k, known)]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> KeywordIndex:
    return KeywordIndex.build(tmp_path_factory.mktemp("index"), entries(6_000))


@pytest.fixture(scope="module")
def often(tmp_path_factory: pytest.TempPathFactory) -> KeywordIndex:
    return KeywordIndex.build(tmp_path_factory.mktemp("often"), with_often())


def test_the_rarer_of_two_words_decides(tmp_path: Path) -> None:
    texts = ["common words", "common words here", "common and precious"]
    index = KeywordIndex.build(tmp_path, [Entry(n, 0, text) for n, text in enumerate(texts)])

    hits = index.search(terms("common precious"), 3)

    assert hits[0].row == 2
    assert len(hits) == 3


@pytest.mark.parametrize("asked", [["w0", "w250"], ["w3", "w90", "w7", "w1"], ["w299"]])
def test_pruning_loses_nothing_of_the_exact_ranking(index: KeywordIndex, asked: list[str]) -> None:
    expected = exactly(entries(6_000), asked, 20, index.statistics(asked))

    assert [hit.row for hit in index.search(asked, 20)] == expected


@pytest.mark.parametrize("asked", ["often w3 w90 w250", "often w290", "often nowhere", "often"])
@pytest.mark.parametrize("classes", [None, [1], [0, 3]])
def test_a_word_that_most_rows_hold_counts_though_it_is_not_looked_for(
    often: KeywordIndex, asked: str, classes: list[int] | None
) -> None:
    words = asked.split()

    hits = often.search(words, 20, classes)

    among = None if classes is None else often.mask(classes)
    whole = Bags.of(with_often())
    assert hits == whole.search(words, 20, whole.statistics(words, classes), among)


@pytest.mark.parametrize("classes", [[1], [0, 2], [3, 1, 0]])
def test_a_restricted_search_scores_as_if_nothing_else_existed(
    index: KeywordIndex, classes: list[int]
) -> None:
    allowed = [entry for entry in entries(6_000) if entry.access in classes]
    alone = Bags.of(entry._replace(row=n) for n, entry in enumerate(allowed))

    hits = index.search(["w2", "w120", "w33"], 15, classes)

    expected = alone.search(["w2", "w120", "w33"], 15, alone.statistics(["w2", "w120", "w33"]))
    assert [hit.row for hit in hits] == [allowed[hit.row].row for hit in expected]
    assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in expected])


def test_rows_after_the_index_score_as_those_in_it(index: KeywordIndex) -> None:
    asked = ["w5", "w200"]
    tail = Bags.of(entries(300, seed=2, first=6_000))
    both = index.statistics(asked) + tail.statistics(asked)
    whole = Bags.of([*entries(6_000), *entries(300, seed=2, first=6_000)])

    hits = index.search(asked, 10, statistics=both) + tail.search(asked, 10, both)

    best = sorted(hits, key=lambda hit: (-hit.score, hit.row))[:10]
    assert best == whole.search(asked, 10, whole.statistics(asked))


def test_deleted_rows_can_be_taken_out_of_the_statistics(index: KeywordIndex) -> None:
    gone = list(range(0, 6_000, 4))  # all of class 0

    left = index.statistics(["w1"]) - index.statistics_of(["w1"], gone)

    assert left == index.statistics(["w1"], [1, 2, 3])


def test_a_filter_that_leaves_few_rows_still_finds_the_best_of_them(index: KeywordIndex) -> None:
    among = index.mask([2])
    among[: len(among) // 2] = False
    rows = [entry for entry in entries(6_000) if among[entry.row]]

    hits = index.search(["w0", "w1"], 8, [2], among=among)

    known = index.statistics(["w0", "w1"], [2])
    alone = Bags.of(entry._replace(row=n) for n, entry in enumerate(rows))
    assert [hit.row for hit in hits] == [
        rows[hit.row].row for hit in alone.search(["w0", "w1"], 8, known)
    ]


def test_an_index_without_rows_finds_nothing(tmp_path: Path) -> None:
    KeywordIndex.build(tmp_path, [])

    assert KeywordIndex.open(tmp_path).search(["anything"], 5) == []


def test_a_folder_without_an_index_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(IndexDamaged, match=str(tmp_path)):
        KeywordIndex.open(tmp_path)


def test_a_gap_in_the_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="row 2 does not follow 1"):
        KeywordIndex.build(tmp_path, [Entry(0, 0, "a"), Entry(2, 0, "b")])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Cities' policies", ["the", "city", "policy", "polic*"]),
        ("10,000 messages at 3.5", ["10000", "message", "messa*", "at", "3.5"]),
        ("set max_new_tokens", ["set", "max_new_tokens", "max", "new", "token"]),
        ("Müller’s Straße ＡＢＣ", ["muller", "mulle*", "strasse", "stras*", "abc"]),
        ("退款政策 in 2024", ["退款", "款政", "政策", "in", "2024"]),
        ("हिन्दी", ["हिन्दी"]),
        ("C++ and C#", ["c++", "c", "and", "c#", "c"]),
        ("", []),
    ],
)
def test_the_terms_of_a_text(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@given(st.text())
def test_any_text_has_terms_that_a_space_parts(text: str) -> None:
    assert all(term and not term.isspace() and " " not in term for term in terms(text))
