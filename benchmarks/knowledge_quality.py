"""How well passages are ranked, and answers told from misses, beside what each half does alone.

On public judged sets (SciFact, XQuAD, MedQuAD, a product's help pages), all systems over the same
pieces of text and the same vectors, computed by the engine's `/embed`. Goals: on average 0.02 more
nDCG@10 than the better half alone on each set, on none more than 0.005 less; help questions: hit@5
at least 0.95, AUROC at least 0.85. LangChain's EnsembleRetriever runs beside where it is installed
(`pip install 'llmasos[bench]'`).

    python benchmarks/knowledge_quality.py --data FOLDER --home HOME [--cache FOLDER] [SET …]
"""

import argparse
import gzip
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from knowledge.chunking import Chunk
from knowledge.embedding import HttpEmbedder, Server, Vectors
from knowledge.evaluation import PASSAGES, Judged, auroc, judge
from knowledge.retrieve import retrieve
from knowledge.terms import terms, words
from knowledge.testing import ListView
from llmasos.engine.launch import EngineProcess
from llmasos.retrieval import Passage
from llmasos.settings import Settings

LENGTH = 850
"""Characters of a piece, its title not counted."""
SETS = ("scifact", "xquad_en", "xquad_de", "medquad", "zulip_help")
DEPTH = 10
Ranked = Callable[[str, Vectors], list[str]]
"""From a query and its vector to sources, best first."""


@dataclass
class Set:
    """Documents as (source, title, text), and questions."""

    documents: list[tuple[str, str, str]]
    questions: list[Judged]


def main() -> None:
    options = _options()
    options.cache.mkdir(parents=True, exist_ok=True)
    settings = Settings(home=options.home)
    with EngineProcess.start(settings) as engine:
        embedder = HttpEmbedder(lambda: Server(engine.url), settings.embedding.model)
        report = {
            name: measured(read(options.data, name), Cached(embedder, options.cache))
            for name in options.sets or SETS
        }
    gains = [each["gain"] for each in report.values()]
    mean = {"mean_gain": round(float(np.mean(gains)), 4), "least_gain": min(gains)}
    print(json.dumps(report | mean, indent=2))


def measured(data: Set, embed: Callable[[list[str]], Vectors]) -> dict[str, Any]:
    """Every system's figures on one set."""
    chunks = [
        (source, Chunk(title, "", piece, start, start + len(piece)))
        for source, title, text in data.documents
        for start, piece in pieces(text)
    ]
    view = ListView(chunks, embed([chunk.embedded for _, chunk in chunks]))
    vectors = embed([each.query for each in data.questions])
    asked = list(zip(data.questions, vectors, strict=True))
    judged = [(each, vector) for each, vector in asked if each.relevant]
    found = {each.query: ours(view, each.query, vector) for each, vector in asked}
    systems: dict[str, Ranked] = {
        "llmasos": lambda query, _: [passage.source for passage in found[query]],
        "bm25": lambda query, _: sources(view, view.matching(words(terms(query)), PASSAGES)),
        "minilm": lambda _, vector: sources(view, view.nearest(vector, PASSAGES)),
    }
    if ensemble := langchain(chunks, view):
        systems["langchain_ensemble"] = ensemble
    report: dict[str, Any] = {"pieces": view.count, "questions": len(judged)}
    for name, ranked in systems.items():
        outcomes = [
            judge(each, [_named(source) for source in ranked(each.query, vector)])
            for each, vector in judged
        ]
        report[name] = {
            "ndcg@10": round(float(np.mean([o.ndcg for o in outcomes])), 4),
            "hit@5": round(float(np.mean([o.hit for o in outcomes])), 4),
        }
    better = max(report["bm25"]["ndcg@10"], report["minilm"]["ndcg@10"])
    report["gain"] = round(report["llmasos"]["ndcg@10"] - better, 4)
    report["auroc"] = told_apart(view, asked, found)
    return report


def ours(view: ListView, query: str, vector: Vectors) -> list[Passage]:
    return retrieve(query, {"set": view}, lambda: vector, PASSAGES)


def told_apart(
    view: ListView, asked: list[tuple[Judged, Vectors]], found: dict[str, list[Passage]]
) -> dict[str, Any]:
    """How well relevance tells queries from the same ones without the pages that answer them."""
    sampled = [pair for pair in asked if pair[0].relevant][:: max(1, len(asked) // 200)]
    yes = [_relevance(found[each.query]) for each, _ in sampled]
    removed = [
        _relevance(ours(view.without(each.relevant), each.query, vector))
        for each, vector in sampled
    ]
    no = [_relevance(found[each.query]) for each, _ in asked if not each.relevant]
    told = {"removed_page": _interval(yes, removed)}
    return told | ({"unanswerable": _interval(yes, no)} if no else {})


def _interval(yes: list[float], no: list[float]) -> dict[str, Any]:
    """An AUROC with its 95 % confidence interval, by bootstrap."""
    scores, answerable = np.array(yes + no), np.array([True] * len(yes) + [False] * len(no))
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(1_000):
        chosen = [
            random.choice(np.flatnonzero(answerable == kind), n)
            for kind, n in ((True, len(yes)), (False, len(no)))
        ]
        at = np.concatenate(chosen)
        drawn.append(auroc(scores[at], answerable[at]))
    low, high = np.percentile(drawn, [2.5, 97.5])
    value = auroc(scores, answerable)
    return {"value": round(value, 3), "interval": [round(low, 3), round(high, 3)], "pairs": len(no)}


def langchain(chunks: list[tuple[str, Chunk]], view: ListView) -> Ranked | None:
    """LangChain's fusion of its BM25 and the same vectors; None where it is not installed."""
    try:
        from langchain_classic.retrievers import EnsembleRetriever
        from langchain_community.retrievers import BM25Retriever
        from langchain_core.documents import Document
        from langchain_core.retrievers import BaseRetriever
    except ImportError as error:
        print(f"no comparison with LangChain: {error}", file=sys.stderr)
        return None

    class Nearest(BaseRetriever):
        vector: Any = None

        def _get_relevant_documents(self, query: str, **_: Any) -> list[Document]:
            return [documents[hit.row] for hit in view.nearest(self.vector, PASSAGES)]

    documents = [
        Document(page_content=chunk.embedded, metadata={"source": source})
        for source, chunk in chunks
    ]
    keywords = BM25Retriever.from_documents(documents)
    keywords.k = PASSAGES
    nearest = Nearest()
    both = EnsembleRetriever(retrievers=[keywords, nearest], weights=[0.5, 0.5])

    def ranked(query: str, vector: Vectors) -> list[str]:
        nearest.vector = vector
        return [each.metadata["source"] for each in both.invoke(query)]

    return ranked


def sources(view: ListView, hits: list[Any]) -> list[str]:
    return [each.source for each in view.chunks([hit.row for hit in hits])]


class Cached:
    """An embedder that keeps what it has computed in files."""

    def __init__(self, embedder: HttpEmbedder, folder: Path) -> None:
        self._embedder = embedder
        self._folder = folder

    def __call__(self, texts: list[str]) -> Vectors:
        """One vector for each text."""
        key = sha256("\0".join([self._embedder.model, *texts]).encode()).hexdigest()[:24]
        path = self._folder / f"{key}.npy"
        if not path.exists():
            np.save(path, self._embedder.embed(texts))
        kept: Vectors = np.load(path)
        return kept


def pieces(text: str) -> Iterator[tuple[int, str]]:
    """Paragraphs, or sentences of long ones, packed into pieces, with their places."""
    start = end = 0
    for match in re.finditer(r"\S.*?(?:\n\s*\n|(?<=[.!?])\s+|$)", text, re.DOTALL):
        if end > start and match.end() - start > LENGTH:
            yield start, text[start:end]
            start = match.start()
        end = match.end()
    if text[start:end].strip():
        yield start, text[start:end]


def read(folder: Path, name: str) -> Set:
    """One of the sets. Ends the program plainly when it is not there."""
    if not folder.is_dir():
        sys.exit(f"{folder} is no folder. Name the one that holds {', '.join(SETS)} with --data.")
    try:
        return READERS[name.partition("_")[0]](folder, name)
    except FileNotFoundError as error:
        sys.exit(f"The set '{name}' is not in {folder}: {error.filename} is missing.")


def _scifact(folder: Path, _: str) -> Set:
    relevant: dict[str, set[str]] = {}
    for each in _rows(folder / "scifact/qrels_test.jsonl"):
        relevant.setdefault(str(each["query_id"]), set()).add(str(each["doc_id"]))
    documents = [
        (str(each["_id"]), each["title"], each["text"])
        for each in _rows(folder / "scifact/corpus.jsonl.gz")
    ]
    questions = [
        Judged(query=each["text"], relevant=frozenset(relevant[str(each["_id"])]))
        for each in _rows(folder / "scifact/queries_test.jsonl")
    ]
    return Set(documents, questions)


def _xquad(folder: Path, name: str) -> Set:
    language = name.partition("_")[2]
    documents = [
        (each["_id"], each["title"].replace("_", " "), each["text"])
        for each in _rows(folder / f"xquad/paragraphs_{language}.jsonl")
    ]
    questions = [
        Judged(query=each["text"], relevant=frozenset({each["doc_id"]}))
        for each in _rows(folder / f"xquad/questions_{language}.jsonl")
    ]
    return Set(documents, questions)


def _medquad(folder: Path, _: str) -> Set:
    rows = list(_rows(folder / "medquad/qa_dev.jsonl.gz"))
    return Set(
        [(each["id"], "", each["answer"]) for each in rows],
        [Judged(query=each["question"], relevant=frozenset({each["id"]})) for each in rows[1::2]],
    )


def _zulip(folder: Path, _: str) -> Set:
    documents = [
        (each["id"], each["title"], each["text"])
        for each in _rows(folder / "zulip_help/pages.jsonl.gz")
    ]
    questions = [
        Judged(
            query=each["question"],
            relevant=frozenset({each["page"], *each["also_in"]} if each["answerable"] else ()),
        )
        for each in _rows(folder / "zulip_help/questions_dev.jsonl")
    ]
    return Set(documents, questions)


READERS: dict[str, Callable[[Path, str], Set]] = {
    "scifact": _scifact,
    "xquad": _xquad,
    "medquad": _medquad,
    "zulip": _zulip,
}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _named(source: str) -> Passage:
    return Passage(collection="", source=source, title="", text="", span=(0, 0), score=0.0)


def _relevance(passages: list[Passage]) -> float:
    return passages[0].relevance or 0.0 if passages else 0.0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with the sets")
    parser.add_argument("--home", type=Path, default=Path(".llmasos"), help="where models/ is")
    parser.add_argument("--cache", type=Path, help="keeps vectors between runs")
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(SETS))
    options = parser.parse_args()
    options.cache = options.cache or Path(tempfile.gettempdir()) / "llmasos-vectors"
    return options


if __name__ == "__main__":
    main()
