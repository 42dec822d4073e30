"""How fast documents come in, against LangChain's FAISS with HuggingFaceEmbeddings.

Both get the abstracts of SciFact, the same model and the same chunks, in turns in one run. Ours
finds, reads, cuts, embeds and stores files; the peer is handed the chunks ready cut. nDCG@10 of
both comes from exact search over the vectors that each has made, a document's score being that of
its best chunk. Beside the clock, which counts, stands the processor time of all processes of each:
other work on the machine bends it less. Goal: at least 2.5 times the peer's documents a second on a
processor with AVX512-BF16 or AMX, else 1.2 times, at an nDCG@10 that differs by 0.005 at most.

    pip install 'llmasos[bench]'
    python benchmarks/knowledge_ingest.py --data DATA [--documents 300] [--rounds 3]

DATA holds `scifact/`: corpus.jsonl.gz, queries_test.jsonl and qrels_test.jsonl. The documents that
a query judges come first. A round of 300 takes about half a minute on two idle cores.
"""

import argparse
import gzip
import json
import math
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from langchain_community.vectorstores import FAISS
from langchain_core.documents import Document
from langchain_huggingface import HuggingFaceEmbeddings

from knowledge import HttpEmbedder, KnowledgeBase, Server
from knowledge.chunking import Recipe, chunks
from knowledge.embedding import Vectors, tokens_of
from knowledge.loaders.markdown import parse
from llmasos.engine.launch import EngineProcess
from llmasos.engine.library import ModelLibrary
from llmasos.settings import Settings, load

GOAL_FAST, GOAL_PLAIN, GOAL_DIFFERENCE = 2.5, 1.2, 0.005


class Took(NamedTuple):
    """What a half took."""

    seconds: float
    processor: float
    """Seconds of processor time, of all its processes."""


class Meter:
    """Measures from when it is made. engine: a process that works for this one."""

    def __init__(self, engine: int | None = None) -> None:
        self._engine = engine
        self._began = time.perf_counter(), self._processor()

    def took(self) -> Took:
        """What was used since."""
        return Took(time.perf_counter() - self._began[0], self._processor() - self._began[1])

    def _processor(self) -> float:
        """Of this process, of those it waited for, and of the engine."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = time.process_time() + children.ru_utime + children.ru_stime
        if self._engine is None:
            return own
        stat = Path(f"/proc/{self._engine}/stat").read_text().rpartition(")")[2].split()
        return own + (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


class Recording:
    """An embedder that remembers what it made of each text."""

    def __init__(self, embedder: HttpEmbedder) -> None:
        self._embedder = embedder
        self.model, self.tokens = embedder.model, embedder.tokens
        self.made: dict[str, Any] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """The server's vectors, kept by text."""
        vectors = self._embedder.embed(texts)
        self.made.update(zip(texts, vectors, strict=True))
        return vectors


def main() -> None:
    options = _options()
    settings = load()
    corpus = _lines(options.data / "scifact" / "corpus.jsonl.gz")
    named = {str(e["doc_id"]) for e in _lines(options.data / "scifact" / "qrels_test.jsonl")}
    corpus.sort(key=lambda each: str(each["_id"]) not in named)
    corpus = corpus[: options.documents]
    pages = {each["_id"]: f"# {each['title']}\n\n{each['text']}\n" for each in corpus}
    recipe = Recipe(tokens_of(settings), settings.knowledge.chunk_tokens)
    cut = {name: chunks(parse(page, name), recipe) for name, page in pages.items()}
    owners = [name for name, own in cut.items() for _ in own]
    texts = [chunk.embedded for own in cut.values() for chunk in own]
    with EngineProcess.start(settings, key="bench") as engine:
        server = Server(engine.url, "bench")
        embedder = HttpEmbedder(lambda: server, settings.embedding.model, tokens_of(settings))
        embedder.embed(texts[:64])
        peer = _peer(settings)
        peer.embed_documents(texts[:64])
        ours, theirs = [], []
        for place in range(options.rounds):
            took, made = _ours(pages, embedder, settings, engine.pid)
            peer_took, peer_made = _theirs(texts, peer)
            ours.append(took)
            theirs.append(peer_took)
            print(f"round {place + 1} of {options.rounds}: {took}, {peer_took}", file=sys.stderr)
        queries = _lines(options.data / "scifact" / "queries_test.jsonl")
        asked = [each["text"] for each in queries]
        judged = _judgements(options.data / "scifact" / "qrels_test.jsonl", set(pages))
        names = [each["_id"] for each in queries]
        own_made = np.stack([made[text] for text in texts])
        score = _ndcg(embedder.embed(asked), own_made, owners, names, judged)
        peer_score = _ndcg(np.array(peer.embed_documents(asked)), peer_made, owners, names, judged)
        embedder.close()
    _print(len(pages), len(texts), (ours, theirs), (score, peer_score))


def _print(
    documents: int, pieces: int, took: tuple[list[Took], list[Took]], scores: tuple[float, float]
) -> None:
    ours, theirs = took
    goal = GOAL_FAST if _computes_bfloat16() else GOAL_PLAIN
    ratios = [peer.seconds / own.seconds for own, peer in zip(ours, theirs, strict=True)]
    spent = [peer.processor / own.processor for own, peer in zip(ours, theirs, strict=True)]
    ratio = statistics.median(ratios)
    difference = scores[0] - scores[1]
    print(
        json.dumps(
            {
                "documents": documents,
                "chunks": pieces,
                "ours_documents_a_second": _a_second(documents, ours),
                "peer_documents_a_second": _a_second(documents, theirs),
                "ratio": round(ratio, 2),
                "ratios": [round(each, 2) for each in ratios],
                "ours_processor_seconds": [round(each.processor, 1) for each in ours],
                "peer_processor_seconds": [round(each.processor, 1) for each in theirs],
                "processor_ratio": round(statistics.median(spent), 2),
                "goal": goal,
                "ndcg@10": round(scores[0], 4),
                "peer_ndcg@10": round(scores[1], 4),
                "met": ratio >= goal and abs(difference) <= GOAL_DIFFERENCE,
            },
            indent=2,
        )
    )


def _a_second(documents: int, took: list[Took]) -> float:
    return round(documents / statistics.median(each.seconds for each in took), 2)


def _ours(
    pages: dict[str, str], embedder: HttpEmbedder, settings: Settings, engine: int
) -> tuple[Took, dict[str, Any]]:
    """What it takes to add the pages as files, and the vectors by text."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "scifact")
        source.mkdir()
        for name, page in pages.items():
            (source / f"{name}.md").write_text(page, encoding="utf-8")
        recording = Recording(embedder)
        knowledge = KnowledgeBase(Path(folder, "knowledge"), recording, settings.knowledge)
        meter = Meter(engine)
        report = knowledge.add("scifact", [source])
        took = meter.took()
        knowledge.close()
    assert len(report.added) == len(pages), report.failed
    return took, recording.made


def _theirs(texts: list[str], peer: HuggingFaceEmbeddings) -> tuple[Took, Vectors]:
    """What it takes to index the chunks, and their vectors."""
    documents = [Document(page_content=text) for text in texts]
    meter = Meter()
    store = FAISS.from_documents(documents, peer)
    took = meter.took()
    return took, store.index.reconstruct_n(0, len(texts))


def _peer(settings: Settings) -> HuggingFaceEmbeddings:
    folder = ModelLibrary(settings.models_dir).pull(settings.embedding.model)
    return HuggingFaceEmbeddings(
        model_name=str(folder),
        model_kwargs={"device": "cpu"},
        encode_kwargs={"normalize_embeddings": True, "batch_size": 32},
    )


def _ndcg(
    asked: Vectors,
    vectors: Vectors,
    owners: list[str],
    names: list[str],
    judged: dict[str, set[str]],
) -> float:
    """nDCG@10, the mean over the queries that have a judged document here."""
    scores = asked @ vectors.T
    found = []
    for name, row in zip(names, scores, strict=True):
        if not (relevant := judged.get(name)):
            continue
        ranked = list(dict.fromkeys(owners[place] for place in np.argsort(-row)))[:10]
        gain = sum(1 / math.log2(rank + 2) for rank, doc in enumerate(ranked) if doc in relevant)
        best = sum(1 / math.log2(rank + 2) for rank in range(min(10, len(relevant))))
        found.append(gain / best)
    return statistics.mean(found)


def _judgements(path: Path, known: set[str]) -> dict[str, set[str]]:
    """The relevant documents of each query, of those that are there."""
    judged: dict[str, set[str]] = {}
    for each in _lines(path):
        if each["score"] > 0 and str(each["doc_id"]) in known:
            judged.setdefault(str(each["query_id"]), set()).add(str(each["doc_id"]))
    return judged


def _computes_bfloat16() -> bool:
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return "avx512_bf16" in flags or "amx_tile" in flags


def _lines(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    return [json.loads(line) for line in text.splitlines()]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds scifact/")
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
