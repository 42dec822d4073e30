"""The vector index of a version: the one module that knows FAISS.

Two files: the vectors themselves, and what finds the nearest of them quickly. Both are mapped into
memory when opened. `versions.py` makes sure that only whole and sound files come here. Rows are
counted from 0 in the order in which they were given. Start reading at `VectorIndex.nearest`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import faiss as _faiss
import numpy as np
import numpy.typing as npt
import structlog

from knowledge.allowed import Allowed
from knowledge.embedding import Vectors
from llmasos.errors import IndexDamaged

faiss: Any = _faiss  # its type hints lag behind what it has
THREADS: int = faiss.omp_get_max_threads()
"""That a build uses. A search uses one: FAISS gives others nothing to do for a single query, and
waits for them all the same."""
log = structlog.get_logger()

EXACT, GRAPH, LISTS = "flat", "hnsw", "ivf"
GRAPH_FROM = 20_000
"""Rows from which a graph is faster than looking at each: that takes 0.4 ms there."""
LISTS_FROM = 400_000
"""Rows from which building a graph takes too long: 35 s for 100,000 on two cores."""
LINKS = 16
"""Of each node of a graph."""
BREADTH = 80
"""Candidates for a node's links when a graph is built."""
CODE_BYTES = 48
"""Of a vector in lists: it is only chosen by them, then compared itself."""
RERANKED = 200
"""How many more candidates than asked for are taken of lists, and compared by their vectors."""
SEEN = 100
"""Rows for which lists need look no harder than for ten."""
SAMPLE, ROUNDS = 100_000, 8
"""Vectors from which lists learn, and how often they go over them."""
EFFORTS = {EXACT: (0,), GRAPH: (64, 128, 256, 512), LISTS: (16, 32, 64, 128, 256)}
"""How hard to look, in the order in which it is tried: efSearch, or lists to look into."""
FEW = 2_000
"""So few allowed rows are fetched and compared."""
AHEAD = 1.5
"""How many times as many rows are looked at as should hold k allowed ones."""
FURTHER = 4
"""How many times as many the next time, when there were fewer than k."""
COST = 16
"""What finding one more row by a graph costs, in rows compared: 1.5 µs against 0.1 µs."""
SAMPLED, SAMPLED_K = 100, 10
"""Queries that a new index is tried with, and how many rows of each."""
AIMED = 0.98
"""Recall with which an index looks hard enough."""
LEAST_RECALL = 0.95
"""Recall below which an index is not used."""
BLOCK = 50_000
PARTS = ("vectors.faiss", "quick.faiss")

Numbers = npt.NDArray[np.int64]


class Found(NamedTuple):
    """The nearest rows, best first."""

    rows: Numbers
    scores: npt.NDArray[np.float32]


NOTHING = Found(np.empty(0, np.int64), np.empty(0, np.float32))


class VectorIndex:
    """Finds the nearest of many vectors by inner product; immutable, safe in threads."""

    def __init__(self, vectors: Any, quick: Any, kind: str, effort: int) -> None:
        """vectors, quick: FAISS's indexes of the vectors, and of what finds them; kind: which."""
        self._vectors = vectors
        self._quick = quick
        self.kind = kind
        self.effort = effort

    @classmethod
    def open(cls, folder: Path, kind: str, effort: int) -> Self:
        """The index whose files are in a folder, mapped. Raises IndexDamaged."""
        try:
            vectors = faiss.read_index(str(folder / PARTS[0]), faiss.IO_FLAG_MMAP_IFC)
            quick = vectors
            if kind != EXACT:
                skip = faiss.IO_FLAG_SKIP_STORAGE if kind == GRAPH else 0
                quick = faiss.read_index(str(folder / PARTS[1]), faiss.IO_FLAG_MMAP_IFC | skip)
            if kind == GRAPH:  # the vectors are its nodes
                quick.storage, quick.own_fields = vectors, False
        except RuntimeError as error:
            raise IndexDamaged(str(folder), str(error).splitlines()[0]) from error
        if quick.ntotal != vectors.ntotal:
            raise IndexDamaged(str(folder), "its files do not belong together")
        return cls(vectors, quick, kind, effort)

    def save(self, folder: Path) -> None:
        """Write its files into a folder. Raises OSError."""
        try:
            faiss.write_index(self._vectors, str(folder / PARTS[0]))
            if self.kind != EXACT:
                skip = faiss.IO_FLAG_SKIP_STORAGE if self.kind == GRAPH else 0
                faiss.write_index(self._quick, str(folder / PARTS[1]), skip)
        except RuntimeError as error:
            raise OSError(str(error).splitlines()[0]) from error

    @property
    def count(self) -> int:
        """How many vectors are in it."""
        return int(self._vectors.ntotal)

    @property
    def dimension(self) -> int:
        """How long they are."""
        return int(self._vectors.d)

    def vectors(self, rows: Numbers) -> Vectors:
        """The vectors of these rows, in 16 bits a number; shape (rows, dimension)."""
        if not len(rows):
            return np.empty((0, self.dimension), dtype=np.float32)
        vectors: Vectors = self._vectors.reconstruct_batch(rows)
        return vectors

    def nearest(self, vector: Vectors, k: int, allowed: Allowed | None = None) -> Found:
        """The k nearest of the allowed rows, all of them if there are fewer than k.

        vector: shape (dimension,). A graph and lists find the nearest of all rows; k allowed ones
        among these are the nearest allowed ones. Where that would take looking at so many that
        comparing each allowed row is cheaper, that is done.
        """
        count = self.count if allowed is None else allowed.count
        wanted = min(k, count)
        if wanted < 1:
            return NOTHING
        if allowed is not None and count <= max(FEW, k):
            return self._compare(vector, allowed.rows, wanted)
        seen = wanted if allowed is None else int(AHEAD * wanted * self.count / count)
        while self.kind != EXACT and seen * COST < count:
            found = self._quickly(vector, seen)
            if allowed is not None:
                kept = allowed.mask[found.rows]
                found = Found(found.rows[kept], found.scores[kept])
            if len(found.rows) >= wanted:
                return Found(found.rows[:wanted], found.scores[:wanted])
            seen *= FURTHER
        return self.exact(vector, k, allowed)

    def measured(self, queries: Vectors) -> float:
        """The share of each query's 10 nearest rows that it finds."""
        shares = []
        for query in queries:
            right = self.exact(query, SAMPLED_K).rows
            shares.append(np.isin(right, self.nearest(query, SAMPLED_K).rows).mean())
        return float(np.mean(shares)) if shares else 1.0

    def exact(self, vector: Vectors, k: int, allowed: Allowed | None = None) -> Found:
        """The same by comparing every allowed row."""
        wanted = min(k, self.count if allowed is None else allowed.count)
        options = faiss.SearchParameters(sel=_selector(allowed)) if allowed is not None else None
        faiss.omp_set_num_threads(1)
        return _found(self._vectors.search(vector.reshape(1, -1), wanted, params=options))

    def _quickly(self, vector: Vectors, k: int) -> Found:
        """The k nearest of all rows, by the graph or the lists."""
        faiss.omp_set_num_threads(1)
        query = vector.reshape(1, -1)
        if self.kind == GRAPH:
            options = faiss.SearchParametersHNSW(efSearch=max(self.effort, k))
            return _found(self._quick.search(query, k, params=options))
        lists = min(self.effort * (1 + k // SEEN), self._quick.nlist)
        options = faiss.SearchParametersIVF(nprobe=lists)
        near = _found(self._quick.search(query, k + RERANKED, params=options))
        return self._compare(vector, near.rows, k)

    def _compare(self, vector: Vectors, rows: Numbers, k: int) -> Found:
        scores = self.vectors(rows) @ vector
        order = np.lexsort((rows, -scores))[:k]
        return Found(rows[order], scores[order])


class Building:
    """A vector index in the making: vectors come in order, some at a time."""

    def __init__(self, dimension: int) -> None:
        kind = faiss.ScalarQuantizer.QT_fp16
        self._vectors = faiss.IndexScalarQuantizer(dimension, kind, faiss.METRIC_INNER_PRODUCT)

    def add(self, vectors: Vectors) -> None:
        """Take in the next rows."""
        self._vectors.add(vectors)

    def checked(self) -> tuple[VectorIndex, float]:
        """The index that fits their number, and its recall on a sample.

        It looks as hard as that recall needs; one that cannot reach it gives way to an exact one.
        """
        kind = kind_for(self._vectors.ntotal)
        faiss.omp_set_num_threads(THREADS)
        quick = {EXACT: lambda: self._vectors, GRAPH: self._graph, LISTS: self._lists}[kind]()
        queries = self._sample()
        for effort in EFFORTS[kind]:
            index = VectorIndex(self._vectors, quick, kind, effort)
            recall = index.measured(queries)
            if recall >= AIMED:
                return index, recall
        if recall >= LEAST_RECALL:
            return index, recall
        log.warning("knowledge.index_exact", kind=kind, recall=round(recall, 3))
        return VectorIndex(self._vectors, self._vectors, EXACT, 0), 1.0

    def _sample(self) -> Vectors:
        """Vectors near some that are there, as those of questions are."""
        chance = np.random.default_rng(0)
        total, dimension = self._vectors.ntotal, self._vectors.d
        rows = chance.integers(0, total, min(total, SAMPLED))
        off = chance.normal(0, 0.5 / dimension**0.5, (len(rows), dimension))
        near = self._vectors.reconstruct_batch(rows) + off if len(rows) else off
        return np.asarray(near / np.linalg.norm(near, axis=1, keepdims=True), dtype=np.float32)

    def _graph(self) -> Any:
        kind = faiss.ScalarQuantizer.QT_fp16
        graph = faiss.IndexHNSWSQ(self._vectors.d, kind, LINKS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = BREADTH
        for block in self._blocks():
            graph.add(block)
        return graph

    def _lists(self) -> Any:
        total, dimension = self._vectors.ntotal, self._vectors.d
        centres = faiss.IndexFlatIP(dimension)
        number = max(1, int(2 * total**0.5))
        lists = faiss.IndexIVFPQ(
            centres, dimension, number, _code_bytes(dimension), 8, faiss.METRIC_INNER_PRODUCT
        )
        lists.cp.niter = lists.pq.cp.niter = ROUNDS
        chosen = np.unique(np.random.default_rng(0).integers(0, total, SAMPLE))
        lists.train(self._vectors.reconstruct_batch(chosen))
        for block in self._blocks():
            lists.add(block)
        return lists

    def _blocks(self) -> Iterator[Vectors]:
        for first in range(0, self._vectors.ntotal, BLOCK):
            yield self._vectors.reconstruct_n(first, min(BLOCK, self._vectors.ntotal - first))


def kind_for(rows: int) -> str:
    """The kind of index for so many rows."""
    if rows < GRAPH_FROM:
        return EXACT
    return GRAPH if rows < LISTS_FROM else LISTS


def _code_bytes(dimension: int) -> int:
    """A divisor of the dimension near the wished size."""
    return max(each for each in range(1, CODE_BYTES + 1) if dimension % each == 0)


def _selector(allowed: Allowed) -> Any:
    return faiss.IDSelectorBitmap(allowed.bits)


def _found(answer: tuple[npt.NDArray[np.float32], Numbers]) -> Found:
    scores, rows = answer[0][0], answer[1][0]
    there = rows >= 0
    return Found(rows[there], scores[there])
