"""The vector index of each kind: near to exact, and k results are k allowed results."""

import numpy as np
import pytest

from knowledge import index as kinds
from knowledge.allowed import Allowed
from knowledge.index import EXACT, GRAPH, LISTS, Building, VectorIndex, kind_for

ROWS, DIMENSION, TOPICS = 12_000, 32, 60


@pytest.fixture(scope="module")
def shelf():
    """Vectors in topics, the topic of each, and questions about some."""
    chance = np.random.default_rng(3)
    centres = chance.normal(size=(TOPICS, DIMENSION))
    topics = chance.integers(0, TOPICS, ROWS)
    vectors = unit(centres[topics] + 0.8 * chance.normal(size=(ROWS, DIMENSION)))
    asked = chance.integers(0, TOPICS, 40)
    questions = unit(centres[asked] + 0.8 * chance.normal(size=(40, DIMENSION)))
    return vectors, topics, questions


@pytest.fixture(scope="module", params=[EXACT, GRAPH, LISTS])
def index(request, shelf, tmp_path_factory):
    """An index of that kind, saved and opened again."""
    limits = {EXACT: (ROWS + 1, ROWS + 1), GRAPH: (1, ROWS + 1), LISTS: (1, 1)}[request.param]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kinds, "GRAPH_FROM", limits[0])
        patch.setattr(kinds, "LISTS_FROM", limits[1])
        building = Building(DIMENSION)
        for first in range(0, ROWS, 5_000):
            building.add(shelf[0][first : first + 5_000])
        built, recall = building.checked()
    folder = tmp_path_factory.mktemp(request.param)
    built.save(folder)
    assert (built.kind, recall >= 0.95) == (request.param, True)
    return VectorIndex.open(folder, built.kind, built.effort)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def recall(index, shelf, allowed=None, k=10):
    """The share of the right rows that is found; each search finds as many as there are."""
    vectors, _, questions = shelf
    rows = np.arange(ROWS) if allowed is None else allowed.rows
    shares = []
    for question in questions:
        right = rows[np.argsort(-(vectors[rows] @ question))[:k]]
        found = index.nearest(question, k, allowed).rows
        assert len(found) == len(right)
        assert np.isin(found, rows).all()
        shares.append(np.isin(right, found).mean())
    return np.mean(shares)


def test_an_index_finds_what_comparing_every_vector_finds(index, shelf):
    assert recall(index, shelf) >= 0.95


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.001])
def test_with_a_random_share_allowed_the_allowed_are_found(index, shelf, share):
    mask = np.random.default_rng(5).random(ROWS) < share

    assert recall(index, shelf, Allowed(mask)) >= 0.95


@pytest.mark.parametrize("topics", [30, 6, 1])
def test_with_some_topics_allowed_the_allowed_are_found(index, shelf, topics):
    assert recall(index, shelf, Allowed(shelf[1] < topics)) >= 0.95


def test_with_a_few_rows_of_one_topic_allowed_all_of_them_are_found(index, shelf):
    mask = np.zeros(ROWS, dtype=bool)
    mask[np.flatnonzero(shelf[1] == 7)[:12]] = True

    assert recall(index, shelf, Allowed(mask), k=20) == 1


def test_with_nothing_allowed_nothing_is_found(index, shelf):
    assert len(index.nearest(shelf[2][0], 5, Allowed(np.zeros(ROWS, dtype=bool))).rows) == 0


def test_more_rows_than_there_are_can_be_asked_for(index, shelf):
    assert len(index.nearest(shelf[2][0], 2 * ROWS).rows) == ROWS


def test_stored_vectors_come_back_nearly_as_they_were(index, shelf):
    rows = np.array([5, 3, 11_999])

    assert index.vectors(rows) == pytest.approx(shelf[0][rows], abs=1e-3)


def test_an_index_that_finds_too_little_gives_way_to_an_exact_one(shelf, monkeypatch):
    monkeypatch.setattr(kinds, "GRAPH_FROM", 1)
    monkeypatch.setattr(kinds, "LINKS", 2)
    monkeypatch.setattr(kinds, "BREADTH", 2)
    building = Building(DIMENSION)
    building.add(shelf[0])

    built, found = building.checked()

    assert (built.kind, found) == (EXACT, 1.0)
    assert recall(built, shelf) >= 0.99


def test_the_kind_follows_the_number_of_rows():
    assert [kind_for(n) for n in (0, 19_999, 20_000, 399_999, 400_000)] == [
        EXACT,
        EXACT,
        GRAPH,
        GRAPH,
        LISTS,
    ]
