"""Intents: what customers want, told by a classifier that one command trains from examples.

`train` learns from a CSV file; `Intents` reads what was learned, again whenever it changes, and
says what a message asks for: one intent, or two that are too close to tell. Knows no actions. Start
reading at `Intents.of`.
"""

import csv
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from llmasos.classifier import TextClassifier
from llmasos.embeddings import Embeds
from llmasos.errors import HomeNotWritable, InvalidRequest, LLMasOSError

SURE = 0.4
"""From this likelihood on an intent is taken as meant."""
CLOSE = 0.5
"""An intent that is this likely, beside the best one, may be meant instead."""
MOST_CHOICES = 3
OUT_OF_SCOPE = ("", "out_of_scope", "oos")
"""Intents of examples that have none."""
LARGEST = 50 * 2**20
"""Bytes of a file of examples."""
log = structlog.get_logger()


@dataclass(frozen=True)
class Learned:
    """How much was learned."""

    intents: tuple[str, ...]
    texts: int
    out_of_scope: int
    path: Path


def place_of(home: Path, agent: str) -> Path:
    """The file that holds what was learned for an agent."""
    return home / "intents" / f"{agent}.zip"


def train(examples: Path, path: Path, embedder: Embeds) -> Learned:
    """Learn intents from a CSV file with the columns `text` and `intent`, and keep them in a file.

    Raises InvalidRequest when the examples cannot be used, HomeNotWritable, or an EngineError.
    """
    rows = _rows(examples)
    inside = [(text, intent) for text, intent in rows if intent not in OUT_OF_SCOPE]
    outside = [text for text, intent in rows if intent in OUT_OF_SCOPE]
    made = TextClassifier(embedder=embedder)
    made.fit([t for t, _ in inside], [i for _, i in inside], out_of_scope=outside)
    fresh = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made.save(fresh)
        fresh.replace(path)  # whoever reads meanwhile has the old one or the new one
    except OSError as error:
        raise HomeNotWritable(str(path), error.strerror or str(error)) from error
    return Learned(made.labels, len(inside), len(outside), path)


def _rows(examples: Path) -> list[tuple[str, str]]:
    try:
        if examples.stat().st_size > LARGEST:
            raise InvalidRequest(f"{examples} is larger than {LARGEST // 2**20} MB.")
        with examples.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequest(f"{examples} cannot be read: {error}") from error
    if not rows or not {"text", "intent"} <= rows[0].keys():
        raise InvalidRequest(
            f"{examples} must have examples, and a first line that names the columns text and "
            "intent."
        )
    found = [((row["text"] or "").strip(), (row["intent"] or "").strip()) for row in rows]
    return [(text, intent) for text, intent in found if text]


class Intents:
    """What was learned for an agent. Safe to use from several threads."""

    def __init__(self, path: Path, embedder: Embeds) -> None:
        self._path, self._embedder = path, embedder
        self._reading = threading.Lock()
        self._changed: float | None = None
        self._classifier: TextClassifier | None = None

    def of(self, text: str) -> Sequence[str]:
        """The intent of a message; several, the likeliest first, where they are too close to tell;
        none where the message belongs to no intent, or nothing can be told.
        """
        try:
            classifier = self._learned()
            found = classifier.predict(text) if classifier and text.strip() else None
        except LLMasOSError as error:
            log.warning("intents.not_told", error=type(error).__name__)
            return ()
        if found is None or found.out_of_scope:
            return ()
        ranked = sorted(found.scores, key=lambda label: -found.scores[label])
        close = [each for each in ranked if found.scores[each] >= CLOSE * found.confidence]
        if len(close) == 1:
            return close if found.confidence >= SURE else ()
        return close if len(close) <= MOST_CHOICES else ()

    def _learned(self) -> TextClassifier | None:
        """The classifier, as the file is now; None: there is no file."""
        with self._reading:
            try:
                changed = self._path.stat().st_mtime
            except FileNotFoundError:
                return None
            if changed != self._changed:
                self._classifier = TextClassifier.load(self._path, embedder=self._embedder)
                self._changed = changed
            return self._classifier
