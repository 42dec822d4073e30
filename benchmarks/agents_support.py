"""Customer service, whole way: the questions of a help center to the agent over its pages.

The agent, its collection, the embedding model and the text model are real; what is left out is the
queue. Of an answerable question it is counted whether the reply holds the passage with the asked
fact and cites a page that states it; of an unanswerable one whether it is declined, and whether a
number is said that neither the pages that are cited nor the question hold.

    python benchmarks/agents_support.py --data FOLDER [--home FOLDER] [--only N]
"""

import argparse
import gzip
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from agents.customer_service import customer_service
from knowledge import HttpEmbedder, KnowledgeBase, Server
from knowledge.embedding import tokens_of
from llmasos import LLM
from llmasos.engine.launch import EngineProcess
from llmasos.events import Reply
from llmasos.language.words import numbers, terms
from llmasos.settings import Settings
from llmasos.testing import make_turn, reply_of

HELD = 0.8
"""Share of the words of a passage that an answer which holds it has."""


def main() -> None:
    options = _options()
    folder = options.data / "zulip_help"
    questions = _rows(folder / "questions_dev.jsonl")[: options.only]
    settings = Settings(home=options.home)
    with EngineProcess.start(settings) as engine, tempfile.TemporaryDirectory() as place:
        model = settings.embedding.model
        embedder = HttpEmbedder(lambda: Server(engine.url), model, tokens_of(settings))
        knowledge = KnowledgeBase(Path(place) / "knowledge", embedder)
        knowledge.add("help-center", [_pages(folder, Path(place) / "pages")])
        llm = LLM.from_pretrained(engine.url)
        counts: Counter[str] = Counter()
        missed: dict[str, list[str]] = {}
        for question in questions:
            turn = make_turn(
                customer_service, question["question"], llm.backend, retriever=knowledge
            )
            for name, wanted, holds in _judged(question, reply_of(turn)):
                counts[f"{name}: of"] += 1
                counts[name] += holds
                if holds != wanted:
                    missed.setdefault(name, []).append(question["id"])
        knowledge.close()
    names = [name for name in counts if not name.endswith(": of")]
    report: dict[str, Any] = {
        name: {"count": counts[name], "of": counts[f"{name}: of"]} for name in names
    }
    print(json.dumps({**report, "otherwise": missed}, indent=1))


def _judged(question: dict[str, Any], reply: Reply) -> list[tuple[str, bool, bool]]:
    """What is counted of a reply: its name, what is wanted, and what is so."""
    declined = reply.handoff is not None
    if not question["answerable"]:
        told = "\n".join([question["question"], *(each.quote for each in reply.citations)])
        marks = {str(number) for number in range(1, len(reply.citations) + 1)}
        invented = bool(numbers(reply.text) - numbers(told) - marks)
        return [("declined", True, declined), ("invented", False, invented)]
    right = {question["page"], *question["also_in"]}
    asked, said = set(terms(question["evidence"])), set(terms(reply.text))
    return [
        ("asked fact", True, len(asked & said) >= HELD * len(asked)),
        ("right citation", True, any(Path(c.source).stem in right for c in reply.citations)),
        ("answered", True, not declined),
    ]


def _pages(folder: Path, place: Path) -> Path:
    """The help center as a folder of files."""
    place.mkdir()
    content = gzip.decompress((folder / "pages.jsonl.gz").read_bytes()).decode()
    for page in map(json.loads, content.splitlines()):
        (place / f"{page['id']}.md").write_text(page["text"], encoding="utf-8")
    return place


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of the data sets")
    parser.add_argument("--home", type=Path, default=Path(".llmasos"), help="where models are")
    parser.add_argument("--only", type=int, help="so many questions, from the first on")
    return parser.parse_args()


if __name__ == "__main__":
    main()
