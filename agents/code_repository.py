"""Answers about an indexed repository: from its code, with the lines that each rests on.

A passage of code knows its first line (`path#L10`); with its length that is a range. The model's
sentences stay if they name a piece and only names that the pieces have; else the best piece is
quoted. Start reading at `answered`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from llmasos.agent import Emitted, prompt
from llmasos.errors import UnknownCollection
from llmasos.events import Citation, Handoff, Reply, Token
from llmasos.generation import Message
from llmasos.guards import quoted
from llmasos.language.phrases import say
from llmasos.language.words import sentences, terms
from llmasos.prompting import PER_MESSAGE, budget, sampling, shortened
from llmasos.retrieval import Passage
from llmasos.turn import Turn

ASK = prompt(__package__, "code_generation_ask.md")
PASSAGES = 6
"""Pieces of code that are looked at."""
_LINE = re.compile(r"(.+)#L(\d+)$")
_NUMBER = re.compile(r"\[(\d+)\]")
_NAME = re.compile(r"`([^`]+)`|\b([A-Za-z_]\w*(?:_\w+|[a-z][A-Z]\w*))\b|\b(\w+)\(\)")


def place_of(passage: Passage) -> str:
    """Where a passage stands: `path#L10-L20` when it is code, else its source."""
    found = _LINE.fullmatch(passage.source)
    if not found:
        return passage.source
    first = int(found.group(2))
    return f"{found.group(1)}#L{first}-L{first + passage.text.rstrip().count(chr(10))}"


def answered(turn: Turn) -> Iterator[Emitted]:
    """Answer a question about the agent's collections, with the lines."""
    where = ", ".join(turn.agent.knowledge)
    yield turn.status(say("searching", turn.text, where=where))
    try:
        found = turn.retrieve(turn.text, k=PASSAGES)
    except UnknownCollection as error:
        yield from _declined(say("no_sources", turn.text, where=error.name), error.message())
        return
    asked = set(terms(turn.text))
    found = [each for each in found if asked & set(terms(f"{each.title} {_words(each.text)}"))]
    if not found:
        about = f"“{turn.text.strip()[:100]}”"
        said = say("not_found", turn.text, where=where, asked=about)
        yield from _declined(said, "the code holds no answer")
        return
    yield turn.status(say("writing", turn.text))
    written = turn.llm.chat(_prompt(turn, found), **sampling(turn.agent.options))
    turn.checkpoint()
    text, used = _checked(written, found)
    if not text:
        used = [0]
        text = f"{say('code_quoted', turn.text)}\n```\n{found[0].text.rstrip()}\n```\n[1]"
    listed = "\n".join(f"[{n}] `{place_of(found[at])}`" for n, at in enumerate(used, start=1))
    text = f"{text}\n\n{listed}"
    yield Token(text=text, checked=True)
    yield Reply(text=text, citations=tuple(_citation(found[at]) for at in used))


def _prompt(turn: Turn, found: Sequence[Passage]) -> list[Message]:
    """The question and as many pieces as fit, each with its number."""
    left = budget(turn.llm, turn.agent.options) - 2 * PER_MESSAGE
    left -= turn.llm.count_tokens(f"{ASK}{turn.text}")
    shown = ""
    for number, passage in enumerate(found, start=1):
        part = f"[{number}] {place_of(passage)}\n{passage.text}"
        part = shortened(part, left, turn.llm)
        left -= turn.llm.count_tokens(part)
        if not part:
            break
        shown += f"{part}\n\n"
    asked = f"{quoted(shown.strip(), 'code')}\n\n{turn.text}"
    return [Message(role="system", content=ASK), Message(role="user", content=asked)]


def _checked(written: str, found: Sequence[Passage]) -> tuple[str, list[int]]:
    """The sentences that stay, numbered anew, and the pieces that they rest on."""
    used: list[int] = []
    kept: list[str] = []
    for sentence in sentences(written):
        cited = [int(n) - 1 for n in _NUMBER.findall(sentence.text)]
        if not cited or not all(0 <= at < len(found) for at in cited):
            continue
        known = "\n".join(f"{found[at].source} {found[at].title} {found[at].text}" for at in cited)
        if not all(name in known for name in _names(sentence.text)):
            continue
        used += [at for at in dict.fromkeys(cited) if at not in used]
        anew = {f"[{at + 1}]": f"[{used.index(at) + 1}]" for at in cited}
        kept.append(_NUMBER.sub(partial(_renumbered, anew), sentence.text))
    return " ".join(kept), used


def _renumbered(anew: Mapping[str, str], found: re.Match[str]) -> str:
    return anew[found.group(0)]


def _names(sentence: str) -> Iterator[str]:
    """The names of code in a sentence."""
    for found in _NAME.finditer(sentence):
        yield next(group for group in found.groups() if group).removesuffix("()")


def _words(code: str) -> str:
    """Code with its names taken apart, for comparing words."""
    return code + " " + re.sub(r"_|(?<=[a-z])(?=[A-Z])", " ", code)


def _citation(passage: Passage) -> Citation:
    return Citation(
        source=place_of(passage),
        title=passage.title,
        quote=passage.text,
        score=passage.score,
        url=passage.url,
    )


def _declined(text: str, reason: str) -> Iterator[Emitted]:
    yield Token(text=text, checked=True)
    yield Reply(text=text, confidence=0.0, handoff=Handoff(reason=reason))
