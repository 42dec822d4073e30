"""The checker beside the model: mistakes that rules tell, each with its place and its reason.

English: Harper, an offline grammar checker, beside our own rules; Chinese: our own. A correction
that would change a name or a number is none, and of a model's version only what corrects is taken.
Knows only text. Start reading at `reviewed` and `checked`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

from agents.writing_gate import alike, changes, keeps_words
from agents.writing_rules import CHINESE, ENGLISH
from llmasos.language.phrases import say
from llmasos.language.words import is_chinese, sentences

if TYPE_CHECKING:
    from harper import Lint, Linter

ROUNDS = 3
"""A correction may bring out another mistake; so often a text is looked at."""
KINDS = frozenset(
    (
        "Agreement",
        "BoundaryError",
        "Capitalization",
        "Formatting",
        "Grammar",
        "Miscellaneous",
        "Punctuation",
        "Redundancy",
        "Repetition",
        "Spelling",
        "Typo",
        "Usage",
    )
)
"""What Harper finds that is a mistake; style, dialect and choice of words are the writer's."""
TASTE = re.compile(r"^Consider|^Use the Unicode|be written as `\w+ \w+`")
"""What Harper says of what is no mistake, or guesses by cutting a word in two."""
NEAR = 0.8
"""Share of letters that a word has in common with what it is a misspelling of."""
VERBATIM = re.compile(r"```.*?```|`[^`\n]+`|https?://\S+|\S+@\S+", re.DOTALL)
"""What is not prose: code and addresses."""
_CHECKING = Lock()


@dataclass(frozen=True)
class Correction:
    """A place in a text, what is right there, and why."""

    start: int
    """First character that is replaced."""
    end: int
    """Character after the last."""
    after: str
    why: str


@dataclass(frozen=True)
class Note:
    """A correction that was made, for whoever reads the list."""

    sentence: int
    """Which sentence or list item it is in, from 1."""
    before: str
    after: str
    why: str


def reviewed(original: str, written: str) -> tuple[str, list[Note], bool]:
    """The original with what a model's version and the rules correct, the list of it, and whether
    all that the model changed was taken.

    A version that strays from the original is left out as a whole, another edit by edit.
    """
    edits = _edits(original, written) if alike(original, written) else []
    taken = [each for each in edits if _corrects(original, each)]
    text, notes = checked(applied(original, taken))
    whole = bool(edits or original.strip() == written.strip()) and len(taken) == len(edits)
    notes = sorted([*noted(original, taken), *notes], key=lambda note: note.sentence)
    return text, notes, whole


def _edits(original: str, written: str) -> list[Correction]:
    """What another version of a text changes, word by word, with the reasons that rules know."""
    unit = r"\S" if is_chinese(original) else r"\S+"
    before, after = (list(re.finditer(unit, text)) for text in (original, written))
    matcher = SequenceMatcher(
        None, [each[0] for each in before], [each[0] for each in after], autojunk=False
    )
    known = mistakes(original)
    edits = []
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            continue
        start = before[a].start() if a < len(before) else len(original)
        end = before[b - 1].end() if b > a else start
        new = written[after[c].start() : after[d - 1].end()] if d > c else ""
        if a == b:
            new = f"{new} " if a < len(before) else f" {new}"
            new = new.strip() if is_chinese(original) else new
        elif not new and b < len(before):
            end = before[b].start()
        reasons = (each.why for each in known if each.start < end and start < each.end)
        edits.append(Correction(start, end, new, next(reasons, say("grammar", original))))
    return edits


def _corrects(text: str, edit: Correction) -> bool:
    """Whether an edit keeps words, names and numbers as they are but for their form."""
    return keeps_words(text[edit.start : edit.end], edit.after) and _harmless(text, edit)


def checked(text: str) -> tuple[str, list[Note]]:
    """A text without the mistakes that rules tell, and what was corrected, in order."""
    notes: list[Note] = []
    for _ in range(ROUNDS):
        found = mistakes(text)
        if not found:
            break
        notes += noted(text, found)
        text = applied(text, found)
    return text, sorted(notes, key=lambda note: note.sentence)


def mistakes(text: str) -> list[Correction]:
    """The mistakes that rules tell: in order, none over another, no name or number changed."""
    found = list(_by_rule(text))
    if not is_chinese(text):
        found += _by_harper(text)
    kept: list[Correction] = []
    for each in found:  # those by our own rules come first, and stay
        if all(each.end <= other.start or each.start >= other.end for other in kept):
            kept.append(each)
    kept.sort(key=lambda each: each.start)
    return [each for each in kept if _harmless(text, each)]


def applied(text: str, corrections: Iterable[Correction]) -> str:
    """A text with corrections that are in order and none over another."""
    new, place = "", 0
    for each in corrections:
        new += text[place : each.start] + each.after
        place = each.end
    return new + text[place:]


def noted(text: str, corrections: Iterable[Correction]) -> list[Note]:
    """Corrections as they are shown: whole words, and the sentence they are in."""
    starts = [sentence.start for sentence in sentences(text)]
    notes = []
    for each in corrections:
        start, end = each.start, each.end
        if not is_chinese(text):
            start, end = _widened(text, start, end)
        after = text[start : each.start] + each.after + text[each.end : end]
        number = sum(begin <= max(each.start, starts[0]) for begin in starts)
        notes.append(Note(number, text[start:end].strip(), after.strip(), each.why))
    return notes


def _widened(text: str, start: int, end: int) -> tuple[int, int]:
    """A span with the rest of the words that it touches."""
    while start > 0 and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and not text[end].isspace():
        end += 1
    return start, end


def _harmless(text: str, correction: Correction) -> bool:
    """Whether a correction changes something, but neither a name nor a number."""
    start = max(0, text.rfind("\n", 0, correction.start))
    end = text.find("\n", correction.end)
    part = text[start : end if end >= 0 else len(text)]
    moved = Correction(correction.start - start, correction.end - start, correction.after, "")
    new = applied(part, [moved])
    return new != part and not changes(part, new)


def _by_harper(text: str) -> Iterator[Correction]:
    """What Harper finds, outside of code and addresses; a word is wrong when no dialect has it."""
    with _CHECKING:  # it serves one thread at a time
        lints = [each for each in _lints(text, "AMERICAN") if each.lint_kind in KINDS]
        spelt_wrong = any(each.lint_kind == "Spelling" for each in lints)
        others = _lints(text, "BRITISH") if spelt_wrong else []
    unknown = {each.problem_text for each in others if each.lint_kind == "Spelling"}
    for lint in lints:
        if lint.suggestions and (lint.lint_kind != "Spelling" or lint.problem_text in unknown):
            correction = _correction(lint)
            if correction:
                yield correction


def _lints(text: str, dialect: str) -> "list[Lint]":
    from harper import Language  # 20 MB: only where a text is checked

    return _linter(dialect).lint(text, language=Language.MARKDOWN, dedup=False)


@cache
def _linter(dialect: str) -> "Linter":
    from harper import Dialect, Linter

    return Linter(Dialect[dialect])


def _correction(lint: "Lint") -> Correction | None:
    """What Harper suggests first; none where that is a matter of taste, or far from the word."""
    from harper import SuggestionKind

    start, end = lint.span.start, lint.span.end
    first, why = lint.suggestions[0], lint.message
    if lint.lint_kind == "Spelling":
        return _respelt(lint, start, end)
    if TASTE.search(why):
        return None
    if first.kind is SuggestionKind.INSERT_AFTER:
        return Correction(end, end, first.replacement_text, why)
    after = "" if first.kind is SuggestionKind.REMOVE else first.replacement_text
    return Correction(start, end, after, why)


def _respelt(lint: "Lint", start: int, end: int) -> Correction | None:
    """The suggestion of the same letters, else the first; for words that are no short forms."""
    word = lint.problem_text
    if len(word) < 4 or not word.isalpha():
        return None
    offered = [each.replacement_text for each in lint.suggestions]
    best = min(offered, key=lambda each: sorted(each.lower()) != sorted(word.lower()))
    near = SequenceMatcher(None, word.lower(), best.lower(), autojunk=False).ratio() >= NEAR
    return Correction(start, end, best, "spelling") if near else None


def _by_rule(text: str) -> Iterator[Correction]:
    verbatim = [match.span() for match in VERBATIM.finditer(text)]
    for rule in CHINESE if is_chinese(text) else ENGLISH:
        for match in rule.pattern.finditer(text):
            if any(start < match.end() and match.start() < end for start, end in verbatim):
                continue
            after = rule.after(match) if callable(rule.after) else match.expand(rule.after)
            if after != match.group():
                yield Correction(match.start(), match.end(), after, rule.why)
