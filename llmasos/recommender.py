"""A recommender: what of a catalogue fits a person, by what they liked and what they say.

Items and wishes are compared by meaning; a profile is what a person liked, disliked and has had.
No model writes anything here. Start reading at `Recommender.recommend`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from llmasos.embeddings import Embeds, HomeEmbedder, Vectors
from llmasos.errors import InvalidRequest, nearest
from llmasos.language.words import terms

DISLIKE = 0.5
"""What a disliked item counts beside a liked one."""
WORDS = 0.2
"""What words in common with a wish count beside its meaning."""
SAME = 0.95
"""Items more alike than this are one to a person: the second is left out."""
VARIETY = 0.3
"""What being unlike the items above counts beside fitting."""


@dataclass(frozen=True)
class Item:
    """Something that can be recommended.

    id: its name in the catalogue. text: what it is, in words. tags: facts that filters ask for.
    """

    id: str
    text: str
    tags: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Profile:
    """What is known of a person: ids of items.

    seen: items that are not recommended again; liked and disliked ones are among them.
    """

    liked: Sequence[str] = ()
    disliked: Sequence[str] = ()
    seen: Sequence[str] = ()


@dataclass(frozen=True)
class Recommendation:
    """An item that fits, how well (higher is better), and the liked item that it is like."""

    item: Item
    score: float
    because: str | None = None


class Recommender:
    """Recommends items of a catalogue.

    items: the catalogue. embedder: what turns texts into vectors; None is the home's model.
    Raises InvalidRequest for two items of one id.
    """

    def __init__(self, items: Iterable[Item], *, embedder: Embeds | None = None) -> None:
        self._items = list(items)
        self._places = {item.id: place for place, item in enumerate(self._items)}
        if len(self._places) < len(self._items):
            raise InvalidRequest("Two items have the same id.")
        self._embedder = embedder or HomeEmbedder()
        self._vectors = self._embedder.embed([item.text for item in self._items])
        self._terms = [frozenset(terms(item.text)) for item in self._items]

    def recommend(
        self,
        profile: Profile | None = None,
        wish: str = "",
        *,
        k: int = 5,
        where: Callable[[Item], bool] | Mapping[str, Any] | None = None,
    ) -> list[Recommendation]:
        """The k items that fit best, best first, and not all alike.

        profile: the person; without one, or without likes, the wish alone decides. wish: what they
        ask for, in words. where: which items may be recommended: a function, or tags that must be
        as given (a list: one of these). Raises InvalidRequest for an unknown id.
        """
        known = profile or Profile()
        had = {*known.seen, *known.liked, *known.disliked}
        for name in had:
            self._place(name)
        allowed = _filter(where)
        places = [
            place for place, item in enumerate(self._items) if item.id not in had and allowed(item)
        ]
        if not places:
            return []
        fit = self._fit(known, wish)
        return [
            Recommendation(
                self._items[place], round(float(fit[place]), 4), self._because(place, known.liked)
            )
            for place in self._varied(places, fit, k)
        ]

    def _fit(self, profile: Profile, wish: str) -> Vectors:
        """How well each item fits a person and a wish."""
        fit: Vectors = np.zeros(len(self._items), dtype=np.float32)
        for names, weight in ((profile.liked, 1.0), (profile.disliked, -DISLIKE)):
            if names:
                alike = self._vectors @ self._vectors[[self._place(name) for name in names]].T
                # Tastes are several: what is near to one liked thing fits, near to all or not.
                fit += np.float32(weight) * (alike.max(axis=1) + alike.mean(axis=1)) / 2
        if wish.strip():
            wanted = set(terms(wish))
            fit += self._vectors @ self._embedder.embed([wish])[0]
            shared = [len(wanted & own) / max(len(wanted), 1) for own in self._terms]
            fit += np.float32(WORDS) * np.array(shared, dtype=np.float32)
        return fit

    def _varied(self, places: Sequence[int], fit: Vectors, k: int) -> list[int]:
        """The best places, each chosen with an eye to those above it."""
        left, chosen = sorted(places, key=lambda place: -fit[place]), list[int]()
        while left and len(chosen) < k:
            above = self._vectors[chosen]

            def worth(place: int, above: Vectors = above) -> float:
                alike = float((above @ self._vectors[place]).max()) if len(above) else 0.0
                return float(fit[place]) - VARIETY * max(alike, 0.0)

            best = max(left[: 10 * k], key=worth)
            left.remove(best)
            if not len(above) or float((above @ self._vectors[best]).max()) < SAME:
                chosen.append(best)
        return chosen

    def _because(self, place: int, liked: Sequence[str]) -> str | None:
        """The liked item that an item is most like."""
        if not liked:
            return None
        alike = self._vectors[[self._place(name) for name in liked]] @ self._vectors[place]
        return liked[int(alike.argmax())]

    def _place(self, name: str) -> int:
        if name not in self._places:
            known = tuple(self._places)
            raise InvalidRequest(f"No item is named '{name}'.{nearest(name, known[:50])}")
        return self._places[name]


def _filter(where: Callable[[Item], bool] | Mapping[str, Any] | None) -> Callable[[Item], bool]:
    """What tells which items may be recommended."""
    if where is None:
        return lambda item: True
    if callable(where):
        return where
    wanted = {
        name: tuple(value) if isinstance(value, (list, tuple, set)) else (value,)
        for name, value in where.items()
    }
    return lambda item: all(item.tags.get(name) in values for name, values in wanted.items())
