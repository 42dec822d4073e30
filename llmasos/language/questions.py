"""What a question asks for, and whether passages hold it.

Not merely the topic: its rare words, its names and numbers, what it wants done or told, and the
kind of fact that it asks for must be found. Rules and word lists, no model, so that a small model
does not guess. Knows nothing of agents. Start reading at `Question` and `find_evidence`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from llmasos.language.detection import language_of
from llmasos.language.lexicon import COUNTRIES, GENERIC, STOP_IN, SYNONYMS
from llmasos.language.words import Sentence, is_chinese, names, sentences, stem, terms
from llmasos.retrieval import Passage

_GENERIC = frozenset(stem(word) for word in GENERIC)
_PHRASE = (
    r"(?:(?:an?|the|my|our|your|their|this|that|any|some|only|all)\s+)*"
    r"((?:\w[\w-]*\s*){1,3})"
)
_DOES = re.compile(
    r"\b(?:how (?:do|can|could|would|should|to)|can|could|may|will|(?:want|need|way|able) to)\s+"
    r"(?:(?:i|we|you|they|one|it|still|also|automatically|somehow|secretly|please)\s+)*"
    rf"(\w+)(?:\s+{_PHRASE})?",
    re.IGNORECASE,
)
"""What a question wants done: a verb and the thing after it."""
_CAUSES = frozenset(("make", "let", "have", "get", "keep", "stop", "allow"))
"""Verbs that have something done: what is wanted is said after the thing that it is done to."""
_WANTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?:is|are) there\s+{_PHRASE}",
        rf"\b(?:do|does)\s+\w+\s+(?:offer|support|have|provide|include|accept)\s+{_PHRASE}",
        r"\bhow many\s+((?:\w+\s+){0,2}?\w+)\s+(?:\w+)",
        r"\b(?:which|what)\s+((?:\w+\s+){0,2}?\w+)\s+(?:is|are|do|does|can|will|should|has|have)\b",
    )
)
"""What a question wants told: the thing that it asks after."""
_PREPOSITION = re.compile(
    r"\b(?:to|for|of|in|on|at|by|from|with|into|about|before|after|when|if|per|as|and|or)\s.*",
    re.IGNORECASE,
)
_COMPOUND = re.compile(r"\b[a-z]+-[a-z]+\b", re.IGNORECASE)
_ITEM = re.compile(r"(?:[-*+]|\d+[.)])\s")
_BLOCK = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*\n(?:.*?^[ \t]*\1[ \t]*$|.*)", re.M | re.S)
_LINK_ONLY = re.compile(r"(?:(?:[-*+]|\d+[.)])\s+)?\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\]|:.*)?[.,]?")
"""A sentence that is nothing but a link, or the definition of one: it tells nothing."""
TITLE_SEPARATOR = " › "
WINDOW = 4
"""Sentences that are read as one piece of evidence."""
LONGEST_QUOTE = 500
"""Characters of one piece of evidence."""
LONGEST_QUESTION = 2000
"""Characters of a question that are looked at: its end."""
ENOUGH = 0.57
"""Share of a question's weighted terms that a passage must hold to answer it, if it is as near to
the question as passages on its subject usually are (`USUAL`); a nearer one may hold less."""
USUAL = 0.5
"""Cosine of a question and a passage on its subject, about."""
NEARER = 0.5
"""How much less a passage may hold for each unit of cosine above the usual."""
FORGIVING = 0.8
"""From this share on, what a long question wants done may be said in other words."""
LEAST, MOST = 0.5, 0.66
"""Bounds of that share, whatever the nearness."""
IN_CONTEXT, INSIDE, AT_FIRST, NEAR, OF_KIND, BY_HEADING = 0.28, 0.17, 0.07, 0.14, 0.08, 0.26
"""What the score of a piece of evidence is made of: the share of the question's terms in it and
its headings, in it alone, and in its first sentence; the nearness of its passage; the kinds of
fact that it has of those asked for; and how nearly its own heading is the question."""


@dataclass(frozen=True)
class FactKind:
    """A kind of fact: how it is asked for, and what an answer to it looks like."""

    name: str
    asked: re.Pattern[str]
    given: re.Pattern[str]
    unsaid: bool = False
    """Whether an answer need not say the words that it is asked for with."""


def _kind(name: str, asked: str, given: str, *, unsaid: bool = False) -> FactKind:
    wanted, found = (re.compile(each, re.IGNORECASE) for each in (asked, given))
    return FactKind(name, wanted, found, unsaid)


_AMOUNT = (
    r"(?:\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|a|an|half|no|free)\b"
    r"|[一二三四五六七八九十几])"
)
_COUNTRY = rf"\b(?:{'|'.join(map(re.escape, COUNTRIES))})\b|国|洲"
KINDS = (
    _kind(
        "price",
        r"how much (?:does|do|is|are|would|will)\b.*\b(?:cost|price|pay|charge)|\bprice of\b"
        r"|what (?:does|do|is|are)\b.*\b(?:cost|price|fee)|多少钱|价格是|费用是",
        r"[$€£¥]\s?\d|\d\s?(?:usd|eur|dollars?|euros?|yuan|cents?|元|块|美元)|\bfree of charge\b"
        r"|\bno (?:extra |additional )?(?:charge|cost)|免费|\d/\d of\b.{0,30}price",
    ),
    _kind(
        "duration",
        r"\bhow (?:long|soon|quickly|many (?:days|hours|minutes|seconds|weeks|months|years))\b"
        r"|多久|多长时间|几天|多少天|几个?小时",
        rf"{_AMOUNT}(?: or more| or less|-\d+| to \d+)?\W*(?:business |working |calendar )?"
        r"(?:second|minute|hour|day|week|month|year|秒|分钟|小时|个?工作日|天|周|个?月|年)"
        r"|immediately|instantly|right away|立即|马上",
    ),
    _kind(
        "count",
        r"(?<!\bon )(?<!\bto )\bhow many\b|\b(?:maximum|minimum|largest) (?:number|amount)\b"
        r"|多少个|几个",
        r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten)\b|unlimited|any number"
        r"|[一二三四五六七八九十]|不限",
    ),
    _kind(
        "size",
        r"\b(?:largest|biggest|smallest|max(?:imum)?|min(?:imum)?)\b.{0,20}"
        r"\b(?:file|size|upload|image|length|attachment)\b|\bhow (?:big|large|small)\b|多大",
        r"\d\s?(?:[kmgt]i?b|bytes?|pixels?|px|characters?|[cmk]?m|kg|g)\b|\d\s?[x×]\s?\d"
        r"|unlimited|\bno limit|不限",
    ),
    _kind(
        "date",
        r"\bwhat (?:date|day|time)\b|哪一?天|几点|什么时候",
        r"\d|(?:mon|tues|wednes|thurs|fri|satur|sun)day|daily|weekly|monthly|next|after|when|once"
        r"|[周天日点]",
    ),
    _kind(
        "frequency",
        r"\bhow (?:often|frequently)\b|多久.{0,4}一次",
        r"\b(?:once|twice|never|always|rarely|seldom|sometimes|occasionally|usually|regularly"
        r"|every|each|daily|hourly|nightly|weekly|monthly|quarterly|annual(?:ly)?|yearly"
        r"|(?:\d+|two|three|four|five|six|several|many|few) times"
        r"|(?:a|per) (?:second|minute|hour|day|week|month|year))\b|每|次",
    ),
    _kind(
        "year",
        r"\b(?:what|which) year\b|哪一?年",
        r"\b[12]\d{3}\b|\d\s?年",
        unsaid=True,
    ),
    _kind(
        "share",
        r"\bwhat (?:percentage|percent|share|proportion|fraction)\b|百分之几|比例是",
        r"\d\s?(?:%|per ?cent)|\b(?:half|thirds?|quarters?|fifths?|tenths?|all|none)\b|\d/\d"
        r"|百分之|成",
        unsaid=True,
    ),
    _kind("country", r"\b(?:what|which) countr(?:y|ies)\b|哪(?:个|些)国家", _COUNTRY, unsaid=True),
)
"""The kinds of fact that can be asked for."""


@dataclass(frozen=True)
class Question:
    """A question taken apart."""

    text: str
    weights: dict[str, float]
    """Each term's weight: what says much of the subject weighs 1, what says little 0.25."""
    required: frozenset[str]
    """Terms without which nothing answers it: names, compounds, what it wants done or told."""
    named: frozenset[str]
    """Those of them that no other word stands for: names, compounds, the thing asked after."""
    kinds: tuple[FactKind, ...]
    """The kinds of fact that it asks for."""

    @classmethod
    def of(cls, text: str, context: str = "") -> "Question":
        """Take a question apart. context: the earlier question that it leans on."""
        text, context = text[-LONGEST_QUESTION:], context[-LONGEST_QUESTION:]
        weights = {term: 0.25 if term in _GENERIC else 0.5 for term in terms(context)}
        kinds = tuple(kind for kind in KINDS if kind.asked.search(text))
        needless = {
            term
            for kind in kinds
            if kind.unsaid
            for match in kind.asked.finditer(text)
            for term in terms(match[0])
        }
        weights |= {
            term: 0.25 if term in _GENERIC or term.isdigit() else 1.0 for term in terms(text)
        }
        required = {
            term
            for match in _DOES.finditer(text)
            for number, part in enumerate(match.groups(""))
            for term in _telling(_PREPOSITION.sub("", part))[
                : 2 if number and match[1].lower() in _CAUSES else 1
            ]
        }
        asked_names = {term for name in names(text) for term in terms(name)}
        named = asked_names | {
            term
            for pattern in _WANTS
            for match in pattern.finditer(text)
            for term in _telling(_PREPOSITION.sub("", match[1]))[:1]
        }
        for compound in _COMPOUND.findall(text):
            named |= set([t for t in terms(compound) if weights.get(t, 0) == 1.0][:1])
        weights |= {term: 1.5 for term in asked_names if term in weights}
        weights = {term: weight for term, weight in weights.items() if term not in needless}
        return cls(
            text=text,
            weights=_once(weights),
            required=frozenset(
                term for term in required | named if term not in _GENERIC | needless
            ),
            named=frozenset(named - needless),
            kinds=kinds,
        )

    def subject(self, found: Iterable[str] = ()) -> str:
        """What it is about in the asker's own words: those that were not found, else all."""
        if is_chinese(self.text):
            return f"“{self.text.strip()[:60]}”"
        there = frozenset(found)
        small = STOP_IN.get(language_of(self.text) or "", frozenset())
        words = [
            word
            for word in dict.fromkeys(re.findall(r"[\w@.'’-]*\w", self.text))
            if word.lower() not in small
        ]
        telling = [w for w in words if any(self.weights.get(t, 0) >= 1 for t in terms(w))]
        missing = [w for w in telling if not any(_held(t, there) for t in terms(w))]
        return ", ".join(f"“{word}”" for word in (missing or telling)[:5]) or f"“{self.text[:60]}”"

    def coverage(self, found: Iterable[str]) -> float:
        """The weighted share of its terms that are among these or mean the same as one of them."""
        there = frozenset(found)
        total = sum(self.weights.values())
        held = sum(weight * _credit(term, there) for term, weight in self.weights.items())
        return held / total if total else 0.0

    @property
    def own(self) -> list[str]:
        """The terms that say what is asked of the things that it names."""
        return [t for t, weight in self.weights.items() if weight == 1.0 and t not in self.named]

    def beyond(self, said: Iterable[str]) -> set[str]:
        """The terms that say something which the question does not."""
        asked = frozenset(self.weights)
        return {term for term in said if not _held(term, asked)}

    def fit(self, heading: set[str]) -> float:
        """How nearly a heading is the question: the share of the heading's terms that the question
        asks about, times the share of the question that the heading holds; squared, so that a
        heading with a word or two of it hardly counts.
        """
        if not heading:
            return 0.0
        asked = frozenset(self.weights)
        share = sum(_held(each, asked) for each in heading) / len(heading)
        return (self.coverage(heading) * share) ** 2

    def missing(self, found: Iterable[str]) -> list[str]:
        """Its required terms that these do not hold."""
        there = frozenset(found)
        return sorted(term for term in self.required if not _held(term, there))


@dataclass(frozen=True)
class Evidence:
    """A few sentences of a passage that speak of what is asked."""

    passage: Passage
    sentences: tuple[Sentence, ...]
    score: float
    """How well they fit the question, in [0, 1]."""

    @property
    def context(self) -> str:
        """The sentences with the headings above them."""
        return f"{self.passage.title}\n{self.quote}"

    @property
    def facts(self) -> str:
        """The sentences without the numbers of list items, which are no facts."""
        return re.sub(r"(?m)^\s*\d+[.)]\s", "", self.quote)

    @property
    def quote(self) -> str:
        """The sentences as they stand in the passage."""
        return self.passage.text[self.sentences[0].start : self.sentences[-1].end]


def _once(weights: dict[str, float]) -> dict[str, float]:
    """The weights without terms that mean the same as a heavier one: a thing said twice is one."""
    kept: dict[str, float] = {}
    for term in sorted(weights, key=lambda each: -weights[each]):
        if same(term).isdisjoint(kept):
            kept[term] = weights[term]
    return kept


def _telling(words: str) -> list[str]:
    return [term for term in terms(words) if term not in _GENERIC]


@lru_cache(maxsize=5_000)
def same(term: str) -> frozenset[str]:
    """The terms that mean the same as this one, itself among them."""
    return frozenset({term}).union(*(group for group in _GROUPS if term in group))


_GROUPS = tuple(frozenset(stem(word) for word in group) for group in SYNONYMS)


def _credit(term: str, there: frozenset[str]) -> float:
    """1 for a term that is held; half for a pair of Chinese characters that are there apart, since
    pairs across two words say little.
    """
    if _held(term, there):
        return 1.0
    if len(term) == 2 and not term.isascii() and all(any(c in t for t in there) for c in term):
        return 0.5
    return 0.0


def _held(term: str, there: frozenset[str]) -> bool:
    return not same(term).isdisjoint(there)


def find_evidence(question: Question, passages: Sequence[Passage]) -> list[Evidence]:
    """The pieces of the passages that speak of what is asked, best first, at most two a passage.

    passages: best first, as a retriever gives them.
    """
    found: list[Evidence] = []
    for passage in passages:
        windows = sorted(_windows(question, passage), key=lambda each: each.score, reverse=True)
        found += windows[:1]
        found += [each for each in windows[1:] if not _touch(windows[0], each)][:1]
    return sorted(found, key=lambda evidence: evidence.score, reverse=True)


def holding(question: Question, evidence: Sequence[Evidence]) -> list[Evidence]:
    """Those pieces whose passages hold what is asked for: its required terms and enough of the
    others, and which have a kind of fact that is wanted. None when one kind is nowhere.
    """
    kinds = question.kinds
    passages = {id(each.passage): each.passage for each in evidence}
    holds = {key: _holds(question, passage) for key, passage in passages.items()}
    held = [each for each in evidence if holds[id(each.passage)]]
    if not kinds:
        return held
    about = [each for each in held if question.coverage(terms(each.context)) >= LEAST]
    if not all(any(kind.given.search(each.facts) for each in about) for kind in kinds):
        return []
    return [each for each in held if any(kind.given.search(each.facts) for kind in kinds)]


def _holds(question: Question, passage: Passage) -> bool:
    there = frozenset(terms(passage.title)).union(*_taken_apart(passage.text).terms)
    enough = min(MOST, max(LEAST, ENOUGH - NEARER * (passage.nearness - USUAL)))
    if question.own and all(not _held(term, there) for term in question.own):
        return False  # names alone: the passage may be about them, or in another language
    covered, missing = question.coverage(there), question.missing(there)
    if missing and (covered < FORGIVING or not question.named.isdisjoint(missing)):
        return False
    return covered >= enough


def _windows(question: Question, passage: Passage) -> list[Evidence]:
    around = terms(passage.title)
    heading = set(terms(passage.title.rpartition(TITLE_SEPARATOR)[2]))
    apart = _taken_apart(passage.text)
    told = [n for n, part in enumerate(apart.sentences) if not part.text.startswith("#")]
    parts = [apart.sentences[n] for n in told]
    if all(_LINK_ONLY.fullmatch(part.text) for part in parts):
        return []
    own = [apart.terms[n] for n in told]
    fit = question.fit(heading)
    found = []
    for first in range(len(parts)):
        last = min(first + WINDOW, len(parts))
        inside = [term for each in own[first:last] for term in each]
        piece = Evidence(passage, tuple(parts[first:last]), 0.0)
        given = sum(bool(kind.given.search(piece.facts)) for kind in question.kinds)
        score = (
            IN_CONTEXT * question.coverage([*around, *inside])
            + INSIDE * question.coverage(inside)
            + AT_FIRST * question.coverage(own[first])
            + NEAR * max(0.0, passage.nearness)
            + BY_HEADING * fit
            + OF_KIND * given / max(1, len(question.kinds))
        )
        first, last = _whole_list(parts, first, last)
        found.append(Evidence(passage, tuple(parts[first:last]), score))
    return found


class _Apart(NamedTuple):
    """A passage's text taken apart."""

    sentences: tuple[Sentence, ...]
    """A block of code is whole, with the sentence that leads to it."""
    terms: tuple[tuple[str, ...], ...]
    """Of each sentence."""


@lru_cache(maxsize=500)
def _taken_apart(text: str) -> _Apart:
    """A text taken apart; remembered, since a passage is judged and then answered from."""
    parts = tuple(_parts(text))
    return _Apart(parts, tuple(tuple(terms(part.text)) for part in parts))


def _parts(text: str) -> list[Sentence]:
    """The sentences of a text, a block of code whole with the sentence that leads to it."""
    blocks = [match.span() for match in _BLOCK.finditer(text)]
    parts: list[Sentence] = []
    for part in sentences(text):
        begun = bool(parts) and any(
            part.start < end and (start == part.start or start < parts[-1].end)
            for start, end in blocks
        )
        start = parts.pop().start if begun else part.start
        parts.append(Sentence(text[start : part.end], start, part.end))
    return parts


def _whole_list(parts: Sequence[Sentence], first: int, last: int) -> tuple[int, int]:
    """Take in the rest of a list that a window cuts, within reason."""

    def fits(start: int, end: int) -> bool:
        return parts[end - 1].end - parts[start].start <= LONGEST_QUOTE

    while first > 0 and _ITEM.match(parts[first].text) and fits(first - 1, last):
        first -= 1
    while last < len(parts) and _ITEM.match(parts[last].text) and fits(first, last + 1):
        last += 1
    while last - first > 1 and not fits(first, last):
        last -= 1
    return first, last


def _touch(one: Evidence, other: Evidence) -> bool:
    return (
        one.sentences[0].start < other.sentences[-1].end
        and other.sentences[0].start < one.sentences[-1].end
    )
