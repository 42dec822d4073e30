"""Intents: how often `TextClassifier` is right, and how well it tells what is out of scope.

Banking77 (every tenth row of each intent held out for validation) and CLINC150 (its validation
part), trained on ten examples of each intent and on all; beside plain logistic regression on the
same embeddings, and the figures in the data's READMEs. Embeddings come from a model folder, without
a server, so that the benchmark times nothing but the classifier.

    python benchmarks/agents_intents.py --data FOLDER [--model FOLDER] [--only banking77]
"""

import argparse
import gzip
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from llmasos import TextClassifier
from llmasos.engine.embedder import Embedder
from llmasos.engine.library import ModelLibrary
from llmasos.settings import load

SHOTS, SEED, TENTH = 10, 0, 10


@dataclass(frozen=True)
class Rows:
    """Texts and their intents."""

    texts: list[str]
    intents: list[str]

    def some(self, places: Sequence[int]) -> "Rows":
        """Those at these places."""
        return Rows([self.texts[p] for p in places], [self.intents[p] for p in places])


class Remembering:
    """Embeds each text once."""

    model = "benchmark"

    def __init__(self, folder: Path) -> None:
        self._embedder, self._known = Embedder(folder), dict[str, Any]()

    def embed(self, texts: Sequence[str]) -> Any:
        """One vector for each text."""
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        for at in range(0, len(new), 512):
            part = new[at : at + 512]
            vectors = self._embedder.submit(part, normalize=True).result()
            self._known.update(zip(part, np.asarray(vectors, dtype=np.float32), strict=True))
        return np.stack([self._known[text] for text in texts])


def main() -> None:
    options = _options()
    embedder = Remembering(options.model or _home_model())
    for name, train, judged, outside, shown in _sets(options.data):
        if options.only in (None, name):
            for shots in (SHOTS, None):
                taught = train.some(_few(train.intents, shots)) if shots else train
                line = {"data": name, "shots": shots or "all", "rows": len(taught.texts)}
                ours = _ours(embedder, taught, judged, outside, shown)
                peer = _regression(embedder, taught, judged, outside)
                print(json.dumps({**line, "ours": ours, "logistic_regression": peer}), flush=True)


def _ours(
    embedder: Remembering, taught: Rows, judged: Rows, outside: list[str], shown: list[str]
) -> dict[str, Any]:
    """What the classifier reaches, told and not told what is out of scope."""
    embedder.embed([*taught.texts, *judged.texts, *outside, *shown])
    begun = time.monotonic()
    made = TextClassifier(embedder=embedder).fit(taught.texts, taught.intents)
    seconds = time.monotonic() - begun
    found = made.predict(judged.texts)
    figures: dict[str, Any] = {
        "accuracy": _share([f.label == i for f, i in zip(found, judged.intents, strict=True)]),
        "confidence": round(float(np.mean([f.confidence for f in found])), 4),
        "fit_seconds": round(seconds, 1),
    }
    if outside:
        strange = made.predict(outside)
        figures["auroc"] = _auroc([f.scope for f in found], [f.scope for f in strange])
        figures["out_of_scope_recall"] = _share([f.out_of_scope for f in strange])
        figures["in_scope_kept"] = _share([not f.out_of_scope for f in found])
        told = TextClassifier(embedder=embedder)
        told.fit(taught.texts, taught.intents, out_of_scope=shown)
        figures["out_of_scope_recall_told"] = _share(
            [f.out_of_scope for f in told.predict(outside)]
        )
        kept = [not f.out_of_scope for f in told.predict(judged.texts)]
        figures["in_scope_kept_told"] = _share(kept)
    return figures


def _regression(
    embedder: Remembering, taught: Rows, judged: Rows, outside: list[str]
) -> dict[str, Any]:
    """What plain logistic regression reaches on the same vectors."""
    made = LogisticRegression(max_iter=1000).fit(embedder.embed(taught.texts), taught.intents)
    likely = made.predict_proba(embedder.embed(judged.texts))
    right = made.classes_[likely.argmax(axis=1)] == np.array(judged.intents)
    figures = {"accuracy": _share(list(right))}
    if outside:
        strange = made.predict_proba(embedder.embed(outside)).max(axis=1)
        figures["auroc"] = _auroc(list(likely.max(axis=1)), list(strange))
    return figures


def _sets(data: Path) -> Iterator[tuple[str, Rows, Rows, list[str], list[str]]]:
    """Each data set: its name, what is taught, what is judged, and texts that are out of scope:
    those that are judged and those that may be shown."""
    rows = _read(data / "banking77" / "train.jsonl.gz")
    seen: Counter[str] = Counter()
    held = []
    for intent in rows.intents:
        seen[intent] += 1
        held.append(seen[intent] % TENTH == 0)
    places = range(len(held))
    taught = rows.some([p for p in places if not held[p]])
    yield "banking77", taught, rows.some([p for p in places if held[p]]), [], []
    clinc = data / "clinc150"
    yield (
        "clinc150",
        _read(clinc / "train.jsonl.gz"),
        _read(clinc / "val.jsonl"),
        _read(clinc / "oos_val.jsonl").texts,
        _read(clinc / "oos_train.jsonl").texts,
    )


def _few(intents: Sequence[str], shots: int) -> list[int]:
    """Places of so many examples of each intent, by chance."""
    chance = np.random.default_rng(SEED)
    places = np.arange(len(intents))
    names = np.array(intents)
    return [
        int(place)
        for name in sorted(set(intents))
        for place in chance.permutation(places[names == name])[:shots]
    ]


def _read(path: Path) -> Rows:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    plain = [json.loads(line) for line in content.splitlines()]
    return Rows([row["text"] for row in plain], [row["intent"] for row in plain])


def _share(right: Sequence[Any]) -> float:
    return round(float(np.mean(right)), 4)


def _auroc(inside: Sequence[float], outside: Sequence[float]) -> float:
    told = [1] * len(inside) + [0] * len(outside)
    return round(float(roc_auc_score(told, [*inside, *outside])), 4)


def _home_model() -> Path:
    settings = load()
    return Path(ModelLibrary.of(settings).path(settings.embedding.model))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of the data sets")
    parser.add_argument("--model", type=Path, help="a folder of the embedding model")
    parser.add_argument("--only", choices=["banking77", "clinc150"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
