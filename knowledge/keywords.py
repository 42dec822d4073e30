"""The keyword index of a collection: the one module that knows tantivy.

Built once for a version, then immutable: opened read-only and memory-mapped by many processes.
tantivy finds candidates (top k with pruning, over terms of our own) by the terms that tell most;
`bags.py` scores them by all, from the statistics of the rows that the asker may see. Since what
the two can differ by is bounded, the best k by the exact score are found, not nearly the best.
Start reading at `KeywordIndex.search`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import tantivy

from knowledge.bags import K1, Bags, Entry, Gathering, Mask, Rows, Scores, Statistics, best
from knowledge.hits import Hit
from knowledge.terms import terms as terms_of
from llmasos.errors import IndexDamaged

HEAP = 128_000_000
"""Bytes that building may use before it writes to disk."""
SURE = 2
"""How many times as many candidates as hits are scored."""
AHEAD = 700
"""How many more are fetched at first, and scored if they may be better: it costs little, and saves
searching again."""
LEFT_OUT = 0.02
"""Part of the highest score that common terms may make at most if candidates are not looked for by
them: to go through all rows that hold one costs most, and tells least."""
FURTHER = 4
"""How many times as many the next time, when those were not enough; `LEFT_OUT` is as much less."""
MOST = 20_000
"""Candidates that are fetched at most; past it rows score alike but for their lengths' rounding."""
FEW = 2_000
"""So few rows are looked at one by one."""

_SCHEMA = (
    tantivy.SchemaBuilder()
    .add_text_field("terms", tokenizer_name="spaces", index_option="freq")
    .add_unsigned_field("row", fast=True)
    .add_unsigned_field("access", indexed=True)
    .build()
)


class KeywordIndex:
    """Finds rows by the terms that they hold; safe in threads and beside other processes."""

    def __init__(self, bags: Bags, index: tantivy.Index) -> None:
        self._bags = bags
        self._searcher = index.searcher()
        self._whole = bags.statistics(())

    @classmethod
    def build(cls, folder: Path, entries: Iterable[Entry]) -> Self:
        """Make the index of these rows in an empty folder, and open it.

        entries: in the order of their row numbers, without gaps. Raises OSError, ValueError.
        """
        gathering = Gathering()
        writer = _with_tokenizer(tantivy.Index(_SCHEMA, str(folder))).writer(HEAP, 1)
        for entry in entries:
            found = terms_of(entry.text)
            gathering.add(entry, found)
            document = tantivy.Document()
            document.add_text("terms", " ".join(found))
            document.add_unsigned("row", entry.row)
            document.add_unsigned("access", entry.access)
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        Bags(gathering.parts()).save(folder)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The index in a folder. Raises IndexDamaged when it is not there, or not whole."""
        bags = Bags.open(folder)
        try:
            found = cls(bags, _with_tokenizer(tantivy.Index.open(str(folder))))
        except (OSError, ValueError) as error:
            raise IndexDamaged(str(folder), str(error)) from error
        if found._searcher.num_docs != len(bags):
            raise IndexDamaged(str(folder), "its files do not belong together")
        return found

    @property
    def count(self) -> int:
        """How many rows are in it."""
        return len(self._bags)

    def statistics(
        self, terms: Collection[str], classes: Collection[int] | None = None
    ) -> Statistics:
        """What BM25 must know of the rows in these access classes; None for all."""
        return self._bags.statistics(terms, classes)

    def holding(
        self, terms: Collection[str], classes: Collection[int] | None = None
    ) -> Mapping[str, int]:
        """For each term, how many rows in these access classes hold it; None for all."""
        return self._bags.statistics(terms, classes).holding

    def statistics_of(self, terms: Collection[str], rows: Sequence[int]) -> Statistics:
        """Those of some rows, for example to subtract rows that were deleted since."""
        return self._bags.statistics_of(terms, rows)

    def mask(self, classes: Collection[int]) -> Mask:
        """Which rows are in these access classes, shape (rows,)."""
        return np.isin(self._bags.access, np.fromiter(classes, np.int32, len(classes)))

    def scores(self, terms: Collection[str], rows: Sequence[int], statistics: Statistics) -> Scores:
        """BM25 of these rows, shape (rows,)."""
        return self._bags.scores(list(dict.fromkeys(terms)), rows, statistics)

    def bags(self, rows: Sequence[int]) -> list[frozenset[int]]:
        """The numbers of the terms of each of these rows."""
        return self._bags.bags(rows)

    def search(
        self,
        terms: Sequence[str],
        k: int,
        classes: Collection[int] | None = None,
        *,
        statistics: Statistics | None = None,
        among: Mask | None = None,
    ) -> list[Hit]:
        """The k best rows by BM25 that hold any of the terms, best first.

        classes: the access classes that may be found; None for all. statistics: what to score by,
        where more than these rows counts. among: which rows may be found, shape (rows,), when that
        is less than the classes; those outside them must not be in it.
        """
        asked = list(dict.fromkeys(terms))
        known = statistics or self.statistics(asked, classes)
        allowed = self.mask(classes) if among is None and classes is not None else among
        share = 1.0 if allowed is None else np.count_nonzero(allowed) / max(1, self.count)
        found = None
        if share * self.count > FEW:
            task = _Task(asked, k, known, allowed)
            found = self._pruned(task, None, int(SURE * k / share) + AHEAD)
            if found is None and classes is not None:
                found = self._pruned(task, classes, SURE * k + AHEAD)
        return self._bags.search(asked, k, known, allowed) if found is None else found

    def _pruned(
        self, task: "_Task", classes: Collection[int] | None, fetched: int
    ) -> list[Hit] | None:
        """The best of all candidates; None when too many of them are not allowed.

        A candidate's own score is at most `slack` times less than its exact one by the same terms:
        lengths are rounded down there. The terms left out add no more than their bound. So nothing
        better is left once the last one fetched is that far below; else more terms are searched by.
        """
        slack = max(1.0, task.statistics.mean_length / self._whole.mean_length)
        part = LEFT_OUT
        while True:
            fetched = min(fetched, MOST)
            telling, left_out = task.telling(part)
            query = self._query(task.statistics, telling, classes)
            hits = self._searcher.search(query, fetched, count=False).hits
            numbers = self._searcher.fast_field_values("row", [place for _, place in hits])
            bounds = slack * np.array([score for score, _ in hits]) + left_out
            found = self._best(task, np.array(numbers, dtype=np.int64), bounds)
            full = len(found) == task.k
            unseen = bounds[-1] if len(hits) == fetched else left_out
            if unseen == 0 or (full and found[-1].score >= unseen):
                return found
            if fetched == MOST and not left_out:
                return found if full else None
            part = part / FURTHER if left_out else 0.0
            fetched *= FURTHER

    def _best(self, task: "_Task", rows: Rows, bounds: npt.NDArray[np.float64]) -> list[Hit]:
        """The best of candidates by their exact scores.

        bounds: what each scores at most, the highest first.
        """
        if task.allowed is not None:
            kept = task.allowed[rows - self._bags.first]
            rows, bounds = rows[kept], bounds[kept]
        scores = self._bags.scores(task.terms, rows[: SURE * task.k], task.statistics)
        if len(rows) > len(scores):
            least = np.partition(scores, -task.k)[-task.k]
            rows = rows[: max(len(scores), int(np.count_nonzero(bounds >= least)))]
            others = self._bags.scores(task.terms, rows[len(scores) :], task.statistics)
            scores = np.concatenate([scores, others])
        return best(rows, scores, task.k)

    def _query(
        self, statistics: Statistics, terms: Sequence[str], classes: Collection[int] | None
    ) -> tantivy.Query:
        """Rows that hold any of the terms, each weighed as the statistics say; of these classes."""
        query = tantivy.Query
        held = {t: self._searcher.doc_freq("terms", t) for t in terms}
        weighed = [
            query.boost_query(
                query.term_query(_SCHEMA, "terms", term, "freq"),
                statistics.weight(term) / Statistics(self.count, 0, held).weight(term),
            )
            for term in terms
            if held[term]
        ]
        any_of = query.boolean_query([(tantivy.Occur.Should, each) for each in weighed])
        if classes is None:
            return any_of
        inside = query.const_score_query(
            query.term_set_query(_SCHEMA, "access", list(classes)), 0.0
        )
        return query.boolean_query([(tantivy.Occur.Must, any_of), (tantivy.Occur.Must, inside)])


@dataclass(frozen=True)
class _Task:
    """What is searched for, and how it is scored."""

    terms: list[str]
    k: int
    statistics: Statistics
    allowed: Mask | None

    def telling(self, part: float) -> tuple[list[str], float]:
        """The terms but for the commonest, and what these can add to a score together.

        part: how much that may be, of what all terms that any row holds can add.
        """
        bounds = {term: (K1 + 1) * self.statistics.weight(term) for term in self.terms}
        highest = sum(bounds[term] for term in self.terms if self.statistics.holding.get(term))
        telling, left_out = sorted(self.terms, key=bounds.__getitem__, reverse=True), 0.0
        while telling and left_out + bounds[telling[-1]] <= part * highest:
            left_out += bounds[telling.pop()]
        return telling, left_out


def _with_tokenizer(index: tantivy.Index) -> tantivy.Index:
    """An index that takes terms as they are given, a space between two."""
    spaces = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    index.register_tokenizer("spaces", spaces)
    return index
