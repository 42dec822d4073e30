"""How search grows with a collection: latency, recall, bytes; against encoding and bare FAISS.

    python benchmarks/knowledge_scale.py 10000 100000 [1000000] --data FOLDER [--queries 100]
                                         [--keep FOLDER]

Collections are synthetic: texts are paragraphs of XQuAD in which a fifth of the words is
exchanged for others of the same corpus, vectors are unit vectors in topics (48 free dimensions and
noise), since embedding a million real texts takes hours. The query is embedded for real through
the engine's `/embed`, and then given a place near a stored vector, so that the index works as it
would. The peer is the same `/embed` followed by a bare search of the same FAISS index; both are
asked in turns. `--keep` leaves the collections in a folder, and a later run goes on with them: a
million chunks take minutes to store and to index, and 5 GB.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from knowledge import HttpEmbedder, KnowledgeBase, Server
from knowledge.chunking import Chunk
from knowledge.collection import Collection
from knowledge.embedding import Vectors
from knowledge.folders import collection_exists, create_collection, locked
from knowledge.records import Entry
from llmasos.engine.launch import EngineProcess
from llmasos.request import LOCAL
from llmasos.settings import load

DIMENSION, FREE, TOPICS, PER_DOCUMENT, BATCH = 384, 48, 2_000, 10, 8_000
LONGEST = 120
"""Words of a text."""
KEY = "benchmark"


def lines(path: Path) -> list[dict[str, str]]:
    """A file of the data set."""
    return [json.loads(line) for line in path.read_text().splitlines()]


class Corpus:
    """Texts and vectors without end, in the same topics for each."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = [np.array(each.split()[:LONGEST], dtype=object) for each in texts]
        self._words = np.concatenate(self._texts)
        chance = np.random.default_rng(7)
        self._centres = chance.normal(size=(TOPICS, FREE)).astype(np.float32)
        self._out = chance.normal(size=(FREE, DIMENSION)).astype(np.float32)
        self.seed(0)

    def seed(self, number: int) -> None:
        """Begin a sequence of its own."""
        self._chance = np.random.default_rng([7, number])

    def text(self) -> str:
        """Another one."""
        words = self._texts[self._chance.integers(len(self._texts))].copy()
        changed = np.flatnonzero(self._chance.random(len(words)) < 0.2)
        words[changed] = self._words[self._chance.integers(0, len(self._words), len(changed))]
        return " ".join(words)

    def vectors(self, count: int) -> Vectors:
        """That many more."""
        topics = self._chance.integers(0, TOPICS, count)
        free = self._centres[topics] + 0.7 * self._noise(count, FREE)
        full = free @ self._out + 1.5 * self._noise(count, DIMENSION)
        return np.asarray(full / np.linalg.norm(full, axis=1, keepdims=True), dtype=np.float32)

    def _noise(self, rows: int, columns: int) -> Vectors:
        return self._chance.standard_normal((rows, columns), dtype=np.float32)


class Placed:
    """The real embedder, whose vectors are put among those of the corpus."""

    def __init__(self, embedder: HttpEmbedder, vectors: Vectors) -> None:
        self.model = embedder.model
        self._embedder = embedder
        self._vectors = vectors
        self._place = 0

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed the texts; then say that they lie elsewhere."""
        self._embedder.embed(texts)
        self._place += 1
        return self._vectors[[self._place % len(self._vectors)]]


def main() -> None:
    """Measure each size, and print what was measured as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--data", type=Path, required=True, help="the judged data sets")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--keep", type=Path, help="where collections are made, and left")
    arguments = parser.parse_args()
    data = arguments.data / "xquad"
    if not data.is_dir():
        parser.error(f"there is no data set xquad in {arguments.data}")
    texts = [each["text"] for each in lines(data / "paragraphs_en.jsonl")]
    asked = [each["text"] for each in lines(data / "questions_en.jsonl")][: arguments.queries]
    settings = load()
    with (
        EngineProcess.start(settings, key=KEY) as engine,
        tempfile.TemporaryDirectory() as folder,
    ):
        embedder = HttpEmbedder(lambda: Server(engine.url, KEY), settings.embedding.model)
        for size in arguments.sizes:
            corpus = Corpus(texts)
            kept = (arguments.keep or Path(folder)).absolute()
            print(json.dumps(measured(kept, corpus, embedder, size, asked)), flush=True)
        embedder.close()


def measured(
    folder: Path, corpus: Corpus, embedder: HttpEmbedder, size: int, asked: Sequence[str]
) -> dict[str, object]:
    """Build a collection of this size, and search it beside its peer."""
    name = f"c{size}"
    seconds = fill(folder / name, corpus, embedder.model, size)
    corpus.seed(size)
    placed = Placed(embedder, corpus.vectors(len(asked)))
    base = KnowledgeBase(folder, placed)
    stats = base.stats(name)
    index = Collection(folder / name).contents().version
    assert index is not None
    queries = placed._vectors
    own, bare, encode, near, used = [], [], [], [], []
    for place, question in enumerate(asked):
        query = queries[place]
        encode.append(timed(lambda q=question: embedder.embed([q])))
        near.append(timed(lambda q=query: index.index.nearest(q, 10)))
        bare.append(
            timed(lambda q=question, v=query: (embedder.embed([q]), index.index.nearest(v, 10)))
        )
        began = time.process_time()
        own.append(
            timed(lambda q=question: base.search(q, collections=[name], principal=LOCAL, k=10))
        )
        used.append(1000 * (time.process_time() - began))
    recall = index.index.measured(queries)
    base.close()
    peer = statistics.median(bare)
    return {
        "chunks": stats.chunks,
        "index": stats.index,
        "search_ms": round(statistics.median(own), 2),
        "search_cpu_ms": round(statistics.median(used), 2),
        "peer_ms": round(peer, 2),
        "ratio": round(statistics.median(own) / peer, 3),
        "encode_ms": round(statistics.median(encode), 2),
        "nearest_ms": round(statistics.median(near), 3),
        "recall_at_10": round(recall, 4),
        "version_bytes_per_chunk": round(stats.memory / stats.chunks),
        "disk_bytes_per_chunk": round(stats.bytes / stats.chunks),
        "store_processor_seconds": round(seconds[0], 1),
        "version_processor_seconds": round(seconds[1], 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def fill(folder: Path, corpus: Corpus, model: str, size: int) -> tuple[float, float]:
    """Store that many chunks, then make a version; returns the processor seconds of both."""
    if not collection_exists(folder):
        create_collection(folder, model, DIMENSION)
    collection = Collection(folder)
    began = time.process_time()
    with locked(folder):
        with collection.store.read() as snapshot:
            there, version = snapshot.counts()[1], snapshot.facts().version
        corpus.seed(there)
        for first in range(there, size, BATCH):
            with collection.store.write() as draft:
                for entry, vectors in entries(corpus, first, min(BATCH, size - first)):
                    draft.put(entry, vectors)
        stored = time.process_time()
        if there < size or not version:
            collection.publish()
    collection.close()
    return stored - began, time.process_time() - stored


def entries(corpus: Corpus, first: int, count: int) -> Iterator[tuple[Entry, Vectors]]:
    """Documents with this many chunks together, and their vectors."""
    vectors = corpus.vectors(count)
    for start in range(0, count, PER_DOCUMENT):
        texts = [corpus.text() for _ in range(min(PER_DOCUMENT, count - start))]
        chunks = [Chunk("Page", "", text, 0, len(text)) for text in texts]
        source = f"{first + start}.md"
        entry = Entry(source, f"/{source}", "Page", "0", 1, chunks, 1)
        yield entry, vectors[start : start + len(chunks)]


def timed(call: Callable[[], object]) -> float:
    """Milliseconds of a call."""
    began = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    main()
