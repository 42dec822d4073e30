"""Curated answers: what people have written for a question goes before anything that is searched.

A file (CSV, TOML or Markdown) holds questions and their answers. A message gets an answer only when
it asks the same: by the same words, or by words and meaning together, with the same numbers and the
same kind of question. Whatever is in doubt is left to the flow that searches. Knows no agent. Start
reading at `CuratedAnswers.answer_to`.
"""

import csv
import io
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from llmasos.embeddings import Embeds, Vectors
from llmasos.errors import LLMasOSError
from llmasos.events import Citation
from llmasos.language.lexicon import OPPOSITES
from llmasos.language.words import numbers, stem, terms

SURELY_ALIKE = 0.87
"""From this cosine on two questions in other words may be one."""
HARDLY_ALIKE = 0.6
"""Below this cosine two questions of the same words are two."""
ONE_WORD = 0.8
"""The same where all that they share is one word."""
IN_COMMON = 0.4
"""Share of words that two questions which are alike in meaning must have in common."""
LONGEST = 500
"""Characters of a message that can be a curated question."""
_ASKED = (
    ("why", r"\bwhy\b|\bhow come\b|为什么|为何"),
    ("effect", r"\bwhat (?:happens|if)\b|会怎样|会怎么样|如果"),
    ("cost", r"\bhow much\b|\bwhat (?:does|do|is|are) .{0,40}(?:cost|price|fee)|多少钱|费用|价格"),
    ("time", r"\bwhen\b|\bhow (?:long|soon|fast|many (?:days|hours))\b|多久|多长时间|什么时候"),
    ("count", r"\bhow many\b|多少个|几个"),
    ("who", r"\bwho\b|谁"),
    ("place", r"\bwhere\b|哪里|在哪"),
    ("way", r"\bhow\b|怎么|如何|怎样"),
)  # fmt: skip
ASKED = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _ASKED)
_NOT = re.compile(r"\b(?:not|no|never|without|cannot|unable)\b|n['’]t\b|不|没|无法", re.IGNORECASE)
_TURNS = re.compile(r"^(?:dis|un|de|in|en|im|up|down|out|on|off|re)")
"""Beginnings that turn a word into its opposite."""
OPPOSITE_OF = {stem(a): stem(b) for pair in OPPOSITES for a, b in (pair, pair[::-1])}
log = structlog.get_logger()


@dataclass(frozen=True)
class CuratedAnswer:
    """An answer that people have written.

    questions: each a way to ask for it. source: the file and the number of the entry.
    """

    questions: tuple[str, ...]
    answer: str
    source: str
    url: str | None = None

    def citation(self, alike: float) -> Citation:
        """The entry as a source. alike: how alike it and the message are."""
        return Citation(
            source=self.source,
            title=self.questions[0],
            quote=self.answer,
            score=round(alike, 2),
            url=self.url,
        )


class CuratedAnswers:
    """Answers by their questions. Safe to use from several threads.

    embedder: what compares meanings; None, or while it fails: the same words are required.
    """

    def __init__(self, entries: Sequence[CuratedAnswer], embedder: Embeds | None = None) -> None:
        self._questions = [(q, entry) for entry in entries for q in entry.questions]
        self._embedder = embedder
        self._vectors: Vectors | None = None

    def answer_to(self, message: str) -> tuple[CuratedAnswer, float] | None:
        """The answer to a message and how alike the questions are, in [0, 1]; None: no sure one."""
        if not message.strip() or len(message) > LONGEST:
            return None
        meanings = self._meanings(message)
        found = [
            (entry, alike)
            for number, (question, entry) in enumerate(self._questions)
            if (alike := _alike(message, question, meanings[number] if meanings else None))
        ]
        if not found:
            return None
        best = max(found, key=lambda each: each[1])
        rivals = {id(entry) for entry, alike in found if alike >= best[1]}
        return best if len(rivals) == 1 else None

    def _meanings(self, message: str) -> list[float] | None:
        """The cosine of the message to each question; None where nobody can tell."""
        if self._embedder is None:
            return None
        try:
            if self._vectors is None:
                self._vectors = self._embedder.embed([question for question, _ in self._questions])
            return [float(each) for each in self._vectors @ self._embedder.embed([message])[0]]
        except LLMasOSError as error:
            log.warning("answers.by_words_alone", error=type(error).__name__)
            return None


def _alike(message: str, question: str, meaning: float | None) -> float:
    """How alike a message and a question are; 0 when they do not surely ask the same."""
    if _plain(message) == _plain(question):
        return 1.0
    said, asked = set(terms(message)), set(terms(question))
    if not said or not asked or not _same_kind(message, question):
        return 0.0
    if not (message + question).isascii() and _letters_unknown(message + question):
        meaning = None  # the model reads these letters too poorly to tell two questions apart
    if said == asked:
        same = meaning is None or meaning >= (HARDLY_ALIKE if len(said) > 1 else ONE_WORD)
        return (0.99 if meaning is None else min(0.99, max(meaning, 0.9))) if same else 0.0
    shared = 2 * len(said & asked) / (len(said) + len(asked))
    if meaning is not None and meaning >= SURELY_ALIKE and shared >= IN_COMMON:
        return 0.0 if _opposite(said - asked, asked - said) else min(meaning, 0.89)
    return 0.0


def _same_kind(message: str, question: str) -> bool:
    """Whether both have the same numbers, ask for the same kind of thing, and deny alike."""
    kinds = {_kind(message), _kind(question)} - {""}
    same_denial = bool(_NOT.search(message)) == bool(_NOT.search(question))
    return numbers(message) == numbers(question) and len(kinds) <= 1 and same_denial


def _kind(text: str) -> str:
    return next((kind for kind, pattern in ASKED if pattern.search(text)), "")


def _opposite(some: set[str], others: set[str]) -> bool:
    """Whether a word stands here and its opposite there: enable, disable; add, remove."""
    if any(OPPOSITE_OF.get(word) in others for word in some):
        return True
    here, there = (words | {_TURNS.sub("", word) for word in words} for words in (some, others))
    return not here.isdisjoint(there)


def _letters_unknown(text: str) -> bool:
    """Whether a text is written in letters other than Latin ones."""
    letters = [each for each in text if each.isalpha() and not each.isascii()]
    return any(not unicodedata.name(each, "").startswith("LATIN") for each in letters)


def _plain(text: str) -> str:
    """A text without case, marks and doubled spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w\s]", " ", folded).split())


def read_answers(path: Path) -> list[CuratedAnswer]:
    """The answers that a file holds: CSV with `question` and `answer`, TOML with `[[answers]]`, or
    Markdown whose headings are the questions.

    Raises OSError, or ValueError, which says what is wrong with the file.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"it must end in {', '.join(_READERS)}")
    entries = [
        _entry(raw, f"{path.name}#{number}")
        for number, raw in enumerate(reader(path.read_text(encoding="utf-8-sig")), 1)
    ]
    if not entries:
        raise ValueError("it holds no answer")
    return entries


def _entry(raw: Mapping[str, Any], source: str) -> CuratedAnswer:
    questions, answer, url = raw.get("questions"), raw.get("answer"), raw.get("url")
    listed = questions if isinstance(questions, list) else []
    asked = [each.strip() for each in listed if isinstance(each, str) and each.strip()]
    if not asked or not isinstance(answer, str) or not answer.strip():
        raise ValueError(f"entry {source} needs a question and an answer")
    return CuratedAnswer(tuple(asked), answer.strip(), source, str(url) if url else None)


def _csv(content: str) -> Iterator[Mapping[str, Any]]:
    rows = csv.DictReader(io.StringIO(content))
    missing = {"question", "answer"} - set(rows.fieldnames or ())
    if missing:
        raise ValueError(f"its first line must name the columns {' and '.join(sorted(missing))}")
    for row in rows:
        yield {**row, "questions": (row["question"] or "").split("|")}


def _toml(content: str) -> Iterator[Mapping[str, Any]]:
    entries = tomllib.loads(content).get("answers")
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise ValueError("it must hold [[answers]] tables with `questions` and `answer`")
    yield from entries


def _markdown(content: str) -> Iterator[Mapping[str, Any]]:
    """Headings that follow one another ask for the same answer."""
    questions: list[str] = []
    answer: list[str] = []
    for line in [*content.splitlines(), "# "]:
        if not line.startswith("#"):
            answer.append(line)
            continue
        text = "\n".join(answer).strip()
        if text and questions:
            yield {"questions": questions, "answer": text}
            questions = []
        questions, answer = [*questions, line.lstrip("#").strip()], []


_READERS: dict[str, Callable[[str], Iterator[Mapping[str, Any]]]] = {
    ".csv": _csv,
    ".toml": _toml,
    ".md": _markdown,
}
