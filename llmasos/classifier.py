"""A text classifier: from label names alone, from a few examples, or trained on many.

Texts are compared by meaning (embeddings) and by words and their parts (which carries languages
that the embedding model knows little of). Labels are told by ridge regression over both
comparisons, and how sure it is, and whether a text belongs to any label, is learned from examples
that were held back. scikit-learn counts word parts here and nowhere else. Start reading at
`TextClassifier`.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt

from llmasos.embeddings import Embeds, HomeEmbedder
from llmasos.errors import InvalidRequest
from llmasos.language.words import CJK

Array = npt.NDArray[np.float32]
Texts = list[str] | tuple[str, ...]

NEARNESS = 4.0
"""How fast the influence of an example falls with its distance in meaning."""
WORDS = 0.05
"""What each of the two comparisons by words counts beside that by meaning."""
RIDGE = 0.1
"""How little a single example is trusted."""
LANDMARKS = 16_000
"""Examples that new texts are compared with; of more, as many of each label are taken."""
AT_ONCE = 1_000
"""Texts that are compared at a time."""
HELD_BACK = 5
"""Every so many examples of a label one is held back to learn how sure to be."""
KEPT_IN = 0.95
"""Share of texts with a label that are not called out of scope, where no such text was shown."""
SURELY_IN = 0.5
"""A score from which on a text is in scope, however much alike all examples are."""
FEW_IN = 0.3
"""The score from which on a text is in scope where there are too few examples to learn it."""
PARTS = 2**18
"""Numbers of word parts."""
FORMAT = 1


@dataclass(frozen=True)
class Prediction:
    """What a text was taken for.

    label: the likeliest one. confidence: how likely it is, among the labels, in [0, 1].
    scope: how surely the text belongs to any label, in [0, 1]; below 0.5 it is `out_of_scope`.
    scores: the likelihood of each label.
    """

    label: str
    confidence: float
    scope: float
    scores: dict[str, float] = field(repr=False)

    @property
    def out_of_scope(self) -> bool:
        """Whether the text belongs to no label."""
        return self.scope < 0.5


class TextClassifier:
    """Tells what a text is about.

    labels: their names, when there are no examples; `fit` teaches it by examples instead.
    embedder: what turns texts into vectors; None is the home's embedding model.
    """

    def __init__(self, labels: Sequence[str] = (), *, embedder: Embeds | None = None) -> None:
        self._embedder = embedder or HomeEmbedder()
        self._head: _Head | None = None
        if labels:
            self.fit([label.replace("_", " ").replace("-", " ") for label in labels], labels)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that it knows."""
        return self._trained().labels

    def fit(
        self, texts: Sequence[str], labels: Sequence[str], *, out_of_scope: Sequence[str] = ()
    ) -> Self:
        """Learn from examples, anew.

        labels: one for each text. out_of_scope: texts that have none of the labels; they make it
        better at telling such texts. Raises InvalidRequest.
        """
        if len(texts) != len(labels):
            raise InvalidRequest(f"There are {len(texts)} texts and {len(labels)} labels.")
        if len(set(labels)) < 2:
            raise InvalidRequest("There must be two labels or more to choose from.")
        names = tuple(sorted(set(labels)))
        numbers = np.array([names.index(label) for label in labels])
        inside = self._seen(texts)
        kept = _held_back(numbers)
        few = not kept.any()
        trained = _Ridge.fitted(inside if few else inside.part(~kept), numbers[~kept], len(names))
        scores = trained.scores(inside if few else inside.part(kept))
        strange = trained.scores(self._seen(out_of_scope)) if out_of_scope else None
        self._head = _Head(
            names,
            self._embedder.model,
            trained if few else _Ridge.fitted(inside, numbers, len(names)),
            *_certainty(scores, numbers if few else numbers[kept], strange, few=few),
        )
        return self

    @overload
    def predict(self, text: str) -> Prediction: ...
    @overload
    def predict(self, text: Texts) -> list[Prediction]: ...
    def predict(self, text: str | Texts) -> Prediction | list[Prediction]:
        """What a text is about; of a list of texts, a list. Raises InvalidRequest untrained."""
        head = self._trained()
        texts = [text] if isinstance(text, str) else list(text)
        found = head.predictions(self._seen(texts)) if texts else []
        return found[0] if isinstance(text, str) else found

    def save(self, path: Path | str) -> None:
        """Write what was learned to a file: numbers and label names, none of the examples."""
        head = self._trained()
        about = {
            "format": FORMAT,
            "labels": head.labels,
            "model": head.model,
            "warmth": head.warmth,
            "threshold": head.threshold,
            "slope": head.slope,
        }
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("about.json", json.dumps(about, ensure_ascii=False))
            archive.writestr("head.npz", head.ridge.as_bytes())

    @classmethod
    def load(cls, path: Path | str, *, embedder: Embeds | None = None) -> Self:
        """A classifier from a file that `save` wrote.

        Raises InvalidRequest when the file is none, or was learned with another embedding model.
        """
        made = cls(embedder=embedder)
        try:
            with zipfile.ZipFile(path) as archive:
                about = json.loads(archive.read("about.json"))
                ridge = _Ridge.of_bytes(archive.read("head.npz"))
            head = _Head(
                tuple(about["labels"]),
                about["model"],
                ridge,
                float(about["warmth"]),
                float(about["threshold"]),
                float(about["slope"]),
            )
        except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
            raise InvalidRequest(f"{path} is no classifier that can be read: {error}") from error
        if head.model != made._embedder.model:
            raise InvalidRequest(
                f"{path} was learned with the embedding model '{head.model}', and this one is "
                f"'{made._embedder.model}': learn it again, or set embedding.model."
            )
        made._head = head
        return made

    def _seen(self, texts: Sequence[str]) -> "_Seen":
        """What is compared of texts."""
        return _Seen(self._embedder.embed(list(texts)), *_parts(texts))

    def _trained(self) -> "_Head":
        if self._head is None:
            raise InvalidRequest("The classifier knows no labels yet: give it some, or call `fit`.")
        return self._head


@dataclass(frozen=True)
class _Seen:
    """Texts as they are compared: their vectors, their words, and parts of their words."""

    vectors: Array
    words: Any
    pieces: Any

    def part(self, rows: npt.NDArray[Any]) -> "_Seen":
        """Some of the texts."""
        return _Seen(self.vectors[rows], self.words[rows], self.pieces[rows])

    def like(self, others: "_Seen") -> Array:
        """How alike each text and each of the others are."""
        alike: Array = np.exp(NEARNESS * (self.vectors @ others.vectors.T - 1))
        for own, theirs in ((self.words, others.words), (self.pieces, others.pieces)):
            alike += WORDS * np.asarray((own @ theirs.T).todense(), dtype=np.float32)
        return alike


@dataclass(frozen=True)
class _Ridge:
    """Ridge regression over likeness: what each landmark speaks for."""

    landmarks: _Seen
    weights: Array

    @classmethod
    def fitted(cls, seen: _Seen, numbers: npt.NDArray[Any], labels: int) -> "_Ridge":
        """Learn from examples. numbers: their labels."""
        wanted = np.eye(labels, dtype=np.float32)[numbers]
        if len(numbers) <= LANDMARKS:
            likeness = seen.like(seen)
            likeness.flat[:: len(likeness) + 1] += RIDGE
            return cls(seen, np.linalg.solve(likeness, wanted))
        landmarks = seen.part(_spread(numbers, LANDMARKS))
        among = landmarks.like(landmarks)
        system, target = RIDGE * among, np.zeros((len(among), labels), dtype=np.float32)
        for start in range(0, len(numbers), LANDMARKS):
            rows = np.arange(start, min(start + LANDMARKS, len(numbers)))
            likeness = seen.part(rows).like(landmarks)
            system += likeness.T @ likeness
            target += likeness.T @ wanted[rows]
        system.flat[:: len(system) + 1] += 1e-3
        return cls(landmarks, np.linalg.solve(system, target))

    def scores(self, seen: _Seen) -> Array:
        """About 1 for the right label of a text, about 0 for the others."""
        places = np.arange(len(seen.vectors))
        parts = np.array_split(places, len(places) // AT_ONCE + 1)
        return np.concatenate([seen.part(p).like(self.landmarks) @ self.weights for p in parts])

    def as_bytes(self) -> bytes:
        """The numbers, as a NumPy archive."""
        arrays: dict[str, Any] = {"vectors": self.landmarks.vectors, "weights": self.weights}
        for name in ("words", "pieces"):
            matrix = getattr(self.landmarks, name)
            for part in ("data", "indices", "indptr"):
                arrays[f"{name}_{part}"] = getattr(matrix, part)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    @classmethod
    def of_bytes(cls, content: bytes) -> "_Ridge":
        """What `as_bytes` made this of; nothing in it is run. Raises ValueError."""
        from scipy.sparse import csr_matrix

        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            vectors, weights = arrays["vectors"], arrays["weights"]
            words, pieces = (
                csr_matrix(
                    tuple(arrays[f"{name}_{part}"] for part in ("data", "indices", "indptr")),
                    shape=(len(vectors), PARTS),
                )
                for name in ("words", "pieces")
            )
        for matrix in (words, pieces):
            matrix.check_format()
        return cls(_Seen(vectors, words, pieces), weights)


@dataclass(frozen=True)
class _Head:
    """All that was learned.

    warmth: makes likelihoods of scores. threshold: the score below which a text is out of scope;
    slope: how fast certainty of that grows.
    """

    labels: tuple[str, ...]
    model: str
    ridge: _Ridge
    warmth: float
    threshold: float
    slope: float

    def predictions(self, seen: _Seen) -> list[Prediction]:
        """What each text is taken for."""
        scores = self.ridge.scores(seen)
        likely = _likelihoods(scores, self.warmth)
        scope = 1 / (1 + np.exp(-self.slope * (_height(scores) - self.threshold)))
        return [
            Prediction(
                label=self.labels[int(row.argmax())],
                confidence=float(row.max()),
                scope=float(inside),
                scores={label: float(each) for label, each in zip(self.labels, row, strict=True)},
            )
            for row, inside in zip(likely, scope, strict=True)
        ]


def _parts(texts: Sequence[str]) -> tuple[Any, Any]:
    """The words and the parts of words of texts, as sparse rows of length 1."""
    from sklearn.feature_extraction.text import HashingVectorizer  # late: takes a second

    whole = rf"[^\W_{CJK}]+|[{CJK}]"
    words = HashingVectorizer(
        n_features=PARTS, token_pattern=whole, ngram_range=(1, 2), alternate_sign=False,
        dtype=np.float32,
    )  # fmt: skip
    pieces = HashingVectorizer(
        n_features=PARTS, analyzer="char_wb", ngram_range=(2, 4), alternate_sign=False,
        dtype=np.float32,
    )  # fmt: skip
    return words.transform(texts), pieces.transform(texts)


def _height(scores: Array) -> Array:
    """How high the best label stands: it tells texts that belong to one from those that do not."""
    height: Array = scores.max(axis=1)
    return height


def _likelihoods(scores: Array, warmth: float) -> Array:
    """Likelihoods that add up to 1."""
    raised = np.exp(warmth * (scores - scores.max(axis=1, keepdims=True)))
    likely: Array = raised / raised.sum(axis=1, keepdims=True)
    return likely


def _certainty(
    scores: Array, numbers: npt.NDArray[Any], strange: Array | None, *, few: bool
) -> tuple[float, float, float]:
    """How to make likelihoods of scores, and where scope ends, from texts held back.

    strange: scores of texts out of scope. few: the texts were not held back but learned from, so
    that their scores say too much.
    """
    warmths = np.array([2, 4, 6, 8, 10, 14, 20, 30], dtype=np.float32)
    right = np.arange(len(numbers))
    doubts = [-np.log(_likelihoods(scores, w)[right, numbers] + 1e-9).mean() for w in warmths]
    warmth = 8.0 if few else float(warmths[int(np.argmin(doubts))])
    inside = np.sort(_height(scores))
    threshold = FEW_IN if few else min(float(np.quantile(inside, 1 - KEPT_IN)), SURELY_IN)
    if strange is not None and not few:
        outside = np.sort(_height(strange))
        places = np.unique(np.concatenate([inside, outside]))
        kept = 1 - np.searchsorted(inside, places) / len(inside)
        found = np.searchsorted(outside, places) / len(outside)
        best = int(np.argmax(kept + found))
        threshold = float(places[max(best - 1, 0) : best + 1].mean())  # between the two sides
    spread = float(inside[len(inside) // 2]) - threshold
    return warmth, threshold, 3.0 / max(spread, 0.05)


def _held_back(numbers: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which examples are held back: of each label every fifth; none of one with fewer."""
    seen: dict[int, int] = {}
    held = np.zeros(len(numbers), dtype=np.bool_)
    for place, number in enumerate(numbers):
        seen[int(number)] = seen.get(int(number), 0) + 1
        held[place] = seen[int(number)] % HELD_BACK == 0
    return held


def _spread(numbers: npt.NDArray[Any], most: int) -> npt.NDArray[Any]:
    """Places of so many examples, about as many of each label."""
    seen: dict[int, int] = {}
    rounds = []
    for number in numbers:
        seen[int(number)] = seen.get(int(number), 0) + 1
        rounds.append(seen[int(number)])
    chosen: npt.NDArray[Any] = np.sort(np.argsort(np.array(rounds), kind="stable")[:most])
    return chosen
