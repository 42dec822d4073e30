"""Writing: what proofreading corrects (JFLEG dev), and whether it changes names or numbers.

GLEU as its authors compute it (Napoles et al. 2015, 2016: 4-grams, one random reference a sentence,
mean of 500 draws): the unedited text has 38.2, as its README says. Without `--model` the model says
nothing and the checker's rules alone are measured. Besides: hand-written Chinese mistakes.

    python benchmarks/agents_writing.py --data FOLDER [--model NAME] [--limit SENTENCES]
"""

import argparse
import gzip
import json
import math
import random
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.writing import PROMPTS, writing
from agents.writing_checker import reviewed
from agents.writing_gate import changes
from llmasos import LLM
from llmasos.generation import Message
from llmasos.prompting import sampling

ORDER = 4
DRAWS = 500
JOINED = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r" (n't|'s|'re|'ve|'ll|'d|'m)\b", r"\1"),
        (r" ([,.;:!?)])", r"\1"),
        (r"\( ", "("),
    )
)
PARTED = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"(\w)(n't)\b", r"\1 \2"),
        (r"(\w)('s|'re|'ve|'ll|'d|'m)\b", r"\1 \2"),
        (r"(?<=[^\s.])([,;:!?)]|\.+(?=\s|$))", r" \1"),
        (r"\((?=\S)", "( "),
        (r"([,;:!?)])(?=[^\s\d])", r"\1 "),
    )
)
"""JFLEG parts its tokens by spaces; people do not write so."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of the data sets")
    parser.add_argument("--model", help="a model to ask; else the checker alone")
    parser.add_argument("--limit", type=int, help="so many sentences only")
    options = parser.parse_args()
    model = LLM.from_pretrained(options.model) if options.model else None
    with gzip.open(options.data / "jfleg" / "dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines][: options.limit]
    chinese = (options.data / "zh_proofreading" / "dev.jsonl").read_text(encoding="utf-8")
    print(
        json.dumps(
            {
                "jfleg": _english(rows, model),
                "zh_proofreading": _chinese([json.loads(each) for each in chinese.splitlines()]),
            },
            indent=1,
        )
    )


def _english(rows: Sequence[dict[str, Any]], model: LLM | None) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    corrected = []
    for row in rows:
        text = _mapped(row["source"], JOINED).strip()
        new, notes, whole = reviewed(text, _asked(model, text) if model else "")
        corrected.append(_mapped(new, PARTED) if new != text else row["source"])
        counts["corrections"] += len(notes)
        counts["sentences corrected"] += new != text
        counts["sentences with a name or number changed"] += bool(changes(text, new))
        counts["versions of the model taken as they were"] += whole
    return {
        "sentences": len(rows),
        "GLEU unedited": round(_gleu(rows, [row["source"] for row in rows]), 2),
        "GLEU proofread": round(_gleu(rows, corrected), 2),
        **counts,
    }


def _chinese(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    new = [(reviewed(row["source"], "")[0], row) for row in rows]
    return {
        "sentences": len(rows),
        "as the reference": sum(text == row["reference"] for text, row in new),
        "correct ones changed": sum(
            reviewed(row["reference"], "")[0] != row["reference"] for row in rows
        ),
    }


def _asked(model: LLM, text: str) -> str:
    """The model's version of a sentence, as the agent asks for it."""
    messages = [
        Message(role="system", content=PROMPTS["proofread"]),
        Message(role="user", content=f"Proofread: {text}"),
    ]
    return model.chat(messages, **sampling(writing.options)).strip().strip('"“”')


def _mapped(text: str, rules: Sequence[tuple[re.Pattern[str], str]]) -> str:
    for pattern, new in rules:
        text = pattern.sub(new, text)
    return text


def _gleu(rows: Sequence[dict[str, Any]], versions: Sequence[str]) -> float:
    """GLEU of versions of the rows' sources, in percent."""
    counts = [
        [_counts(row["source"].split(), ref.split(), new.split()) for ref in row["refs"]]
        for row, new in zip(rows, versions, strict=True)
    ]
    total = 0.0
    for draw in range(DRAWS):
        chosen = random.Random(draw * 101)
        sums = [0] * (2 * ORDER + 2)
        for of_row in counts:
            one = of_row[chosen.randrange(len(of_row))]
            sums = [a + b for a, b in zip(sums, one, strict=True)]
        total += _score(sums)
    return 100 * total / DRAWS


def _counts(source: list[str], reference: list[str], new: list[str]) -> list[int]:
    """Lengths, then for each order what is right, less what should have gone, and what there is."""
    found = [len(new), len(reference)]
    for order in range(1, ORDER + 1):
        own, right, old = (_grams(each, order) for each in (new, reference, source))
        wrong = Counter({gram: count for gram, count in old.items() if gram not in right})
        found.append(max(0, (own & right).total() - (own & wrong).total()))
        found.append(max(0, len(new) + 1 - order))
    return found


def _score(sums: Sequence[int]) -> float:
    if 0 in sums:
        return 0.0
    own, reference = sums[:2]
    logs = (math.log(a / b) for a, b in zip(sums[2::2], sums[3::2], strict=True))
    return math.exp(min(0.0, 1 - reference / own) + sum(logs) / ORDER)


def _grams(words: list[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + order]) for i in range(len(words) - order + 1))


if __name__ == "__main__":
    main()
