"""Bags of words: the terms of rows with their counts, and BM25 from them.

The exact half of keyword search. `keywords.py` finds candidates with an index; what they score is
computed here, from the statistics of just those rows that the asker may see, so that rows of an
index and rows after it are comparable and nothing hidden shows in a number. Memory-mapped when
opened, 5 bytes for each different term of a row. Knows neither tantivy nor rights.

Formula: Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond",
with Lucene's logarithm (never negative).
"""

import math
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from knowledge.hits import Hit
from knowledge.terms import terms
from llmasos.errors import IndexDamaged

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
"""For each row from the first on, whether it is meant."""
Scores = npt.NDArray[np.float32]

K1 = 1.2
"""How soon a term's further occurrences stop to count."""
B = 0.75
"""How much a long row is held against it."""
SIFT = np.uint32(1 << 16)
"""Terms are told from most others by their numbers' last bits, before they are compared."""
BLOCK = 20_000
"""Rows that are gathered before their statistics are."""
PARTS = ("first", "access", "lengths", "starts", "terms", "counts", "held_by", "held")
"""The arrays of bags, a file each."""


class Entry(NamedTuple):
    """One row to be searched by keywords."""

    row: int
    access: int
    """Its access class: rows of one class may be read by the same principals."""
    text: str


@dataclass(frozen=True)
class Statistics:
    """What BM25 must know of a set of rows; those of disjoint sets can be added."""

    rows: int = 0
    tokens: int = 0
    """Terms of all rows together, each as often as it occurs."""
    holding: Mapping[str, int] = field(default_factory=dict)
    """For each term that was asked for, how many rows hold it."""

    def __add__(self, other: "Statistics") -> "Statistics":
        return self._merged(other, 1)

    def __sub__(self, other: "Statistics") -> "Statistics":
        return self._merged(other, -1)

    @property
    def mean_length(self) -> float:
        """Terms of a row, on average."""
        return max(1.0, self.tokens / self.rows) if self.rows else 1.0

    def weight(self, term: str) -> float:
        """How much a term tells: its inverse document frequency."""
        held = self.holding.get(term, 0)
        return math.log1p((self.rows - held + 0.5) / (held + 0.5))

    def _merged(self, other: "Statistics", sign: int) -> "Statistics":
        holding = dict(self.holding)
        for term, held in other.holding.items():
            holding[term] = holding.get(term, 0) + sign * held
        return Statistics(self.rows + sign * other.rows, self.tokens + sign * other.tokens, holding)


class Bags:
    """The bags of rows `first`, `first + 1`, …; immutable, safe in threads."""

    def __init__(self, parts: Mapping[str, npt.NDArray[Any]]) -> None:
        """parts: the arrays that `PARTS` names."""
        self._parts = parts
        self.first = int(parts["first"][0])
        """The number of the first row."""
        self.access: npt.NDArray[np.int32] = parts["access"]
        """The access class of each row."""
        self._lengths, self._starts = parts["lengths"], parts["starts"]
        self._terms, self._counts = parts["terms"], parts["counts"]
        self._held_by, self._held = parts["held_by"], parts["held"]
        classes, place = np.unique(self.access, return_inverse=True)
        rows, tokens = np.bincount(place), np.bincount(place, weights=self._lengths)
        self._sizes = {int(each): (int(rows[n]), int(tokens[n])) for n, each in enumerate(classes)}

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Self:
        """The bags of these rows. Raises ValueError when their numbers have gaps."""
        gathering = Gathering()
        for entry in entries:
            gathering.add(entry, terms(entry.text))
        return cls(gathering.parts())

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Bags that were saved, mapped into memory. Raises IndexDamaged."""
        try:
            maps = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in PARTS}
            parts = {name: np.asarray(each) for name, each in maps.items()}  # quicker to index
            sound = len(parts["starts"]) == len(parts["access"]) + 1 == len(parts["lengths"]) + 1
        except (OSError, ValueError) as error:
            raise IndexDamaged(str(folder), str(error)) from error
        if not sound or parts["starts"][-1] != len(parts["terms"]):
            raise IndexDamaged(str(folder), "its files do not belong together")
        return cls(parts)

    def save(self, folder: Path) -> None:
        """Write them into a folder. Raises OSError."""
        for name, part in self._parts.items():
            np.save(folder / f"{name}.npy", part)

    def __len__(self) -> int:
        return len(self.access)

    def statistics(
        self, terms: Collection[str], classes: Collection[int] | None = None
    ) -> Statistics:
        """Those of the rows in these access classes; None for all."""
        allowed = None if classes is None else np.fromiter(classes, np.int64, len(classes))
        sizes = [size for each, size in self._sizes.items() if classes is None or each in classes]
        return Statistics(
            rows=sum(rows for rows, _ in sizes),
            tokens=sum(tokens for _, tokens in sizes),
            holding={term: self._holding(term, allowed) for term in terms},
        )

    def statistics_of(self, terms: Collection[str], rows: Sequence[int] | Rows) -> Statistics:
        """Those of some rows: to take the ones away that were deleted."""
        places = self._places(rows)
        held = (self._occurrences(terms, places) > 0).sum(axis=0)
        return Statistics(
            rows=len(places),
            tokens=int(self._lengths[places].sum()),
            holding={term: int(held[n]) for n, term in enumerate(terms)},
        )

    def scores(
        self, terms: Collection[str], rows: Sequence[int] | Rows, statistics: Statistics
    ) -> Scores:
        """BM25 of these rows, shape (rows,); 0 where none of the terms is."""
        places = self._places(rows)
        occurs = self._occurrences(terms, places)
        lengths = self._lengths[places].astype(np.float32) / statistics.mean_length
        slow = np.float32(K1) * (1 - B + B * lengths)
        weights = np.array([statistics.weight(term) for term in terms], dtype=np.float32)
        parts = occurs / (occurs + slow[:, None]) * (weights * np.float32(K1 + 1))
        scores: Scores = parts.sum(axis=1)  # the same for a row, whatever others are asked for
        return scores

    def search(
        self, terms: Collection[str], k: int, statistics: Statistics, among: Mask | None = None
    ) -> list[Hit]:
        """The k best rows that hold any of the terms, found by looking at each; best first.

        among: those to look at, shape (rows,); None for all.
        """
        places = np.arange(len(self)) if among is None else np.flatnonzero(among)
        blocks = np.array_split(places + self.first, len(places) // BLOCK + 1)
        scores = [self.scores(terms, block, statistics) for block in blocks]
        return best(places + self.first, np.concatenate(scores), k)

    def bags(self, rows: Sequence[int] | Rows) -> list[frozenset[int]]:
        """The numbers of the terms of each of these rows."""
        return [
            frozenset(self._terms[self._starts[place] : self._starts[place + 1]].tolist())
            for place in self._places(rows).tolist()
        ]

    def _places(self, rows: Sequence[int] | Rows) -> Rows:
        return np.asarray(rows, dtype=np.int64).reshape(-1) - self.first

    def _holding(self, term: str, classes: Rows | None) -> int:
        """How many rows of these classes hold a term."""
        key = np.uint64(term_number(term)) << np.uint64(32)
        first, last = np.searchsorted(self._held_by, [key, key + np.uint64(1 << 32)])
        held = self._held[first:last]
        if classes is not None:
            held = held[np.isin((self._held_by[first:last] - key).astype(np.int64), classes)]
        return int(held.sum())

    def _occurrences(self, terms: Collection[str], places: Rows) -> Scores:
        numbers = np.array([term_number(term) for term in terms], dtype=np.uint32)
        found = np.zeros((len(places), len(numbers)), dtype=np.float32)
        if not len(numbers) or not len(places):
            return found
        starts = self._starts[places]
        sizes = self._starts[places + 1] - starts
        first = np.cumsum(sizes) - sizes
        at = np.arange(int(sizes.sum())) + np.repeat(starts - first, sizes)
        held = self._terms[at]
        likely = np.zeros(SIFT, dtype=bool)
        likely[numbers % SIFT] = True
        kept = np.flatnonzero(likely[held % SIFT])
        order = np.argsort(numbers)
        near = np.minimum(np.searchsorted(numbers[order], held[kept]), len(numbers) - 1)
        hit = numbers[order][near] == held[kept]
        kept, near = kept[hit], order[near[hit]]
        owners = np.searchsorted(first, kept, side="right") - 1
        found[owners, near] = self._counts[at[kept]]
        return found


class Gathering:
    """Bags in the making, a row at a time in the order of their numbers."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._access: list[int] = []
        self._lengths: list[int] = []
        self._sizes: list[int] = []
        self._terms: list[npt.NDArray[np.uint32]] = []
        self._counts: list[npt.NDArray[np.uint8]] = []
        self._numbers: list[int] = []
        self._times: list[int] = []
        """The terms of the rows since the last block, and how often each is in its row."""
        self._closed = 0
        """How many rows are in blocks."""
        self._held: list[tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]] = []

    def add(self, entry: Entry, terms: Sequence[str]) -> None:
        """Take in the next row. Raises ValueError unless its number follows the last."""
        if self._first is None:
            self._first = entry.row
        if entry.row != self._first + len(self._access):
            raise ValueError(f"row {entry.row} does not follow {self._first + len(self._access)}")
        bag = Counter(terms)
        self._numbers.extend(map(term_number, bag))
        self._times.extend(bag.values())
        self._access.append(entry.access)
        self._lengths.append(len(terms))
        self._sizes.append(len(bag))
        if len(self._access) % BLOCK == 0:
            self._close_block()

    def parts(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of all rows."""
        self._close_block()
        keys = np.concatenate([keys for keys, _ in self._held])
        held_by, place = np.unique(keys, return_inverse=True)
        held = np.zeros(len(held_by), dtype=np.uint32)
        np.add.at(held, place, np.concatenate([held for _, held in self._held]))
        return {
            "first": np.array([self._first or 0], dtype=np.int64),
            "access": np.array(self._access, dtype=np.int32),
            "lengths": np.array(self._lengths, dtype=np.uint32),
            "starts": np.concatenate([[0], np.cumsum(self._sizes)]).astype(np.int64),
            "terms": np.concatenate(self._terms),
            "counts": np.concatenate(self._counts),
            "held_by": held_by,
            "held": held,
        }

    def _close_block(self) -> None:
        """Turn what waits into arrays, and count for each term which classes hold it how often."""
        terms = np.array(self._numbers, dtype=np.uint32)
        access = np.repeat(
            np.array(self._access[self._closed :], dtype=np.uint64),
            np.array(self._sizes[self._closed :], dtype=np.int64),
        )
        self._terms.append(terms)
        self._counts.append(np.minimum(self._times, 255).astype(np.uint8))
        self._numbers.clear()
        self._times.clear()
        self._closed = len(self._access)
        keys, held = np.unique(
            (terms.astype(np.uint64) << np.uint64(32)) | access, return_counts=True
        )
        self._held.append((keys, held.astype(np.uint32)))


def best(rows: Rows, scores: Scores, k: int) -> list[Hit]:
    """The k rows with the highest scores above 0, equal ones by their number."""
    order = np.lexsort((rows, -scores))[:k]
    return [Hit(int(rows[n]), float(scores[n])) for n in order if scores[n] > 0]


@lru_cache(maxsize=200_000)
def term_number(term: str) -> int:
    """A term as 32 bits. Two terms of one row share a number once in 50 million rows."""
    return zlib.crc32(term.encode("utf-8", "surrogatepass"))
