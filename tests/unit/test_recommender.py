"""The recommender: wishes, likes, dislikes, filters, and no two of a kind."""

import pytest

from llmasos import Item, Profile, Recommender
from llmasos.errors import InvalidRequest
from llmasos.testing import HashingEmbedder

ITEMS = [
    Item("whale", "a captain hunts a whale at sea", {"language": "en", "year": 1851}),
    Item("ship", "a ship is lost at sea with its captain", {"language": "en", "year": 1900}),
    Item("ship2", "a ship is lost at sea with its captain", {"language": "en", "year": 1901}),
    Item("robots", "robots obey three laws", {"language": "en", "year": 1950}),
    Item("laws", "robots break their laws", {"language": "de", "year": 1960}),
    Item("bread", "bake bread at home", {"language": "en", "year": 2000}),
]


@pytest.fixture
def books() -> Recommender:
    return Recommender(ITEMS, embedder=HashingEmbedder())


def ids(found):
    return [each.item.id for each in found]


def test_a_wish_alone_decides(books):
    assert ids(books.recommend(wish="bake some bread", k=1)) == ["bread"]


def test_what_is_liked_leads_to_its_like_and_is_not_recommended_again(books):
    best, *_ = books.recommend(Profile(liked=["whale"]), k=1)

    assert best.item.id in ("ship", "ship2")
    assert best.because == "whale"


def test_what_is_disliked_pushes_its_like_down(books):
    found = books.recommend(Profile(liked=["bread"], disliked=["robots"]), k=5)

    assert min(found, key=lambda each: each.score).item.id == "laws"


def test_two_of_a_kind_are_one(books):
    found = ids(books.recommend(wish="a ship lost at sea", k=3))

    assert len({"ship", "ship2"} & set(found)) == 1


def test_only_what_is_allowed_is_recommended(books):
    by_tag = books.recommend(wish="robots laws", where={"language": "de"})
    by_list = books.recommend(wish="robots laws", where={"year": [1950, 1960]})
    by_rule = books.recommend(wish="robots laws", where=lambda item: item.tags["year"] > 1990)

    assert ids(by_tag) == ["laws"]
    assert set(ids(by_list)) == {"robots", "laws"}
    assert ids(by_rule) == ["bread"]


def test_nothing_is_left_when_all_was_seen(books):
    assert books.recommend(Profile(seen=[item.id for item in ITEMS]), "sea") == []


def test_an_unknown_item_is_named(books):
    with pytest.raises(InvalidRequest, match="Did you mean 'whale'"):
        books.recommend(Profile(liked=["whales"]))


def test_two_items_of_one_id_are_refused():
    with pytest.raises(InvalidRequest, match="same id"):
        Recommender([ITEMS[0], ITEMS[0]], embedder=HashingEmbedder())
