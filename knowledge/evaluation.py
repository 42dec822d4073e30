"""Evaluation: how well a retriever answers judged queries.

Takes any `Retriever`, so that two versions, settings or products are measured alike. Documents
count, not passages: a document's place is that of its first passage. Start reading at `evaluate`.

Measures: nDCG@10 with binary gains (Järvelin and Kekäläinen 2002); recall, hit rate and MRR over
the judged documents; the area under the ROC curve of the first passage's relevance for telling
queries with an answer from those without. Two runs over the same queries are compared by paired
randomisation (Smucker, Allan and Carterette 2007); intervals are percentiles of a bootstrap.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from knowledge.relevance import Signs, signs
from llmasos.errors import InvalidRequest
from llmasos.language.questions import Question
from llmasos.request import Principal
from llmasos.retrieval import Passage, Retriever

DEPTH = 10
"""Documents that are judged."""
PASSAGES = 3 * DEPTH
"""Passages that are asked for, so that there are as many documents."""
DRAWS = 10_000
"""Random draws of a test or an interval."""
MEASURES = ("ndcg", "recall", "mrr", "hit")


class Judged(BaseModel):
    """A query with the documents that answer it: a line of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str
    relevant: frozenset[str] = frozenset()
    """Their sources, with or without `#fragment`."""
    answerable: bool | None = None
    """Whether anything answers it; left out: whether something is relevant."""

    @property
    def answered(self) -> bool:
        """Whether the collection answers it."""
        return bool(self.relevant) if self.answerable is None else self.answerable


class Outcome(BaseModel):
    """What became of one query."""

    query: str
    answerable: bool
    found: list[str]
    """The sources of the documents, best first."""
    relevance: float | None
    """Of the first passage."""
    ndcg: float | None
    """At 10; this and what follows is null where no document was judged relevant."""
    recall: float | None
    mrr: float | None
    hit: float | None
    """1 when a relevant document is among the first five."""


class Evaluation(BaseModel):
    """How a collection does on judged queries."""

    queries: int
    ndcg: float | None
    recall: float | None
    mrr: float | None
    hit: float | None
    auroc: float | None
    """Of the relevance, for telling answerable queries; null unless there are both kinds."""
    auroc_interval: tuple[float, float] | None
    """Its 95 % confidence interval."""
    outcomes: list[Outcome]


class Comparison(BaseModel):
    """One measure of two runs over the same queries."""

    measure: str
    first: float
    second: float
    difference: float
    """The second's less the first's."""
    interval: tuple[float, float]
    """The difference's 95 % confidence interval."""
    p: float
    """How often chance alone makes a difference this large: paired randomisation, two-sided."""


def read_judged(path: Path) -> list[Judged]:
    """The judged queries of a JSONL file. Raises InvalidRequest with the line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} cannot be read: {error}") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                found.append(Judged.model_validate_json(line))
            except ValidationError as error:
                wrong = error.errors()[0]
                where = ".".join(map(str, wrong["loc"])) or "the line"
                raise InvalidRequest(
                    f"{path}, line {number}: {where}: {wrong['msg']}. A line is "
                    '{"query": "…", "relevant": ["page.md"]}, with "answerable" where it matters.'
                ) from error
    if not found:
        raise InvalidRequest(f"{path} holds no queries.")
    return found


def evaluate(
    retriever: Retriever, collection: str, judged: Sequence[Judged], principal: Principal
) -> Evaluation:
    """Ask every query and measure the answers. Raises what the retriever raises."""
    outcomes = []
    for each in judged:
        passages = retriever.search(
            each.query, collections=[collection], principal=principal, k=PASSAGES
        )
        outcomes.append(judge(each, passages))
    return summary(outcomes)


def cases(
    retriever: Retriever, collection: str, judged: Sequence[Judged], principal: Principal
) -> list[tuple[Signs, bool]]:
    """What calibrating learns from: the signs of each query, and whether it was answered.

    A query with an answer counts twice: as it is, and as if the documents that answer were not
    there, so that a few judged questions without unanswerable ones are enough.
    """
    found = []
    for each in judged:
        passages = retriever.search(
            each.query, collections=[collection], principal=principal, k=2 * PASSAGES
        )
        found.append((_signs(each.query, passages), each.answered))
        if each.relevant:
            pages = {source.partition("#")[0] for source in each.relevant}
            left = [p for p in passages if p.source.partition("#")[0] not in pages]
            found.append((_signs(each.query, left), False))
    return found


def _signs(query: str, passages: Sequence[Passage]) -> Signs:
    return signs(Question.of(query), [each.score for each in passages], passages)


def judge(judged: Judged, passages: Sequence[Passage]) -> Outcome:
    """Measure the passages of one query."""
    named = {source for source in judged.relevant if "#" in source}
    wanted = {source.partition("#")[0] for source in judged.relevant - named} | named
    places = [
        each.source if each.source in named else each.source.partition("#")[0] for each in passages
    ]
    found = list(dict.fromkeys(places))[:DEPTH]
    gains = [source in wanted for source in found]
    measured = bool(wanted)
    first = next((place for place, gain in enumerate(gains, start=1) if gain), None)
    ideal = sum(1 / math.log2(place + 2) for place in range(min(DEPTH, len(wanted))))
    reached = sum(1 / math.log2(place + 2) for place, gain in enumerate(gains) if gain)
    return Outcome(
        query=judged.query,
        answerable=judged.answered,
        found=found,
        relevance=passages[0].relevance if passages else 0.0,
        ndcg=reached / ideal if measured else None,
        recall=sum(gains) / len(wanted) if measured else None,
        mrr=(1 / first if first else 0.0) if measured else None,
        hit=float(any(gains[:5])) if measured else None,
    )


def summary(outcomes: Sequence[Outcome]) -> Evaluation:
    """The means of all queries."""
    means = {name: _mean([getattr(each, name) for each in outcomes]) for name in MEASURES}
    judged = [(each.relevance, each.answerable) for each in outcomes if each.relevance is not None]
    scores = np.array([relevance for relevance, _ in judged])
    answerable = np.array([answered for _, answered in judged], dtype=bool)
    both = bool(answerable.any() and not answerable.all())
    return Evaluation(
        queries=len(outcomes),
        **means,
        auroc=auroc(scores, answerable) if both else None,
        auroc_interval=_auroc_interval(scores, answerable) if both else None,
        outcomes=list(outcomes),
    )


def auroc(scores: npt.NDArray[np.float64], answerable: npt.NDArray[np.bool_]) -> float:
    """How often an answerable query scores above an unanswerable one; a tie counts half."""
    yes, no = scores[answerable][:, None], scores[~answerable][None, :]
    return float(np.mean((yes > no) + 0.5 * (yes == no)))


def compare(first: Evaluation, second: Evaluation) -> list[Comparison]:
    """Compare two runs, measure by measure. Raises InvalidRequest unless the queries are equal."""
    if [each.query for each in first.outcomes] != [each.query for each in second.outcomes]:
        raise InvalidRequest("The two runs were not asked the same queries.")
    return [
        _compared(name, _values(first, name), _values(second, name))
        for name in MEASURES
        if getattr(first, name) is not None
    ]


def load_evaluation(path: Path) -> Evaluation:
    """An evaluation that was saved with `--save`. Raises InvalidRequest."""
    try:
        return Evaluation.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{path} is no saved evaluation: {error}") from error


def _compared(
    name: str, first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]
) -> Comparison:
    differences = second - first
    observed = differences.mean()
    random = np.random.default_rng(0)
    flipped = [_flips(random, differences) for _ in range(DRAWS)]
    drawn = [random.choice(differences, len(differences)).mean() for _ in range(DRAWS // 10)]
    as_large = np.count_nonzero(np.abs(flipped) >= abs(observed) - 1e-12)
    return Comparison(
        measure=name,
        first=float(first.mean()),
        second=float(second.mean()),
        difference=float(observed),
        interval=_middle(drawn),
        p=(as_large + 1) / (DRAWS + 1),
    )


def _flips(random: np.random.Generator, differences: npt.NDArray[np.float64]) -> float:
    """The mean difference if which run was which had been decided by coins."""
    signs = random.integers(0, 2, len(differences)) * 2 - 1
    return float((differences * signs).mean())


def _auroc_interval(
    scores: npt.NDArray[np.float64], answerable: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    random = np.random.default_rng(0)
    yes, no = np.flatnonzero(answerable), np.flatnonzero(~answerable)
    drawn = []
    for _ in range(DRAWS // 10):
        chosen = np.concatenate([random.choice(yes, len(yes)), random.choice(no, len(no))])
        drawn.append(auroc(scores[chosen], answerable[chosen]))
    return _middle(drawn)


def _middle(drawn: Sequence[float]) -> tuple[float, float]:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def _values(run: Evaluation, name: str) -> npt.NDArray[np.float64]:
    found = [getattr(each, name) for each in run.outcomes]
    return np.array([each for each in found if each is not None])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return sum(known) / len(known) if known else None
