"""Long pieces and long documents: divided into jobs that run side by side, joined and checked.

A long piece is outlined, its sections are written each in a job of its own, and what they repeat is
cut. A long document is summed up part by part, each sentence with its place. Start reading at
`long_piece` and `long_summary`.
"""

import re
from collections.abc import Iterator, Sequence

from agents.writing_continuity import breaks
from agents.writing_formats import files_of
from agents.writing_gate import inventions, key_sentences, same_subject
from llmasos.agent import Emitted
from llmasos.events import Child, Citation, Delegate, Part, Reply, Token
from llmasos.generation import Message
from llmasos.language.phrases import say
from llmasos.language.words import is_chinese, sentences, terms
from llmasos.prompting import budget, sampling
from llmasos.request import Attachment
from llmasos.turn import Turn

SECTIONS = 8
"""Sections of a long piece at most."""
ALIKE = 0.8
"""Share of a sentence's terms that an earlier one has, from which on it says the same."""
MOST_PARTS = 40
"""Parts of a long document at most; they grow with it."""


def long_piece(turn: Turn, outline_prompt: str) -> Iterator[Emitted]:
    """Outline a piece, have its sections written, join them, and say what is wrong with them."""
    written = turn.children("sections")
    if written is None:
        yield turn.status(say("outlining", turn.text))
        headings = outline(turn, outline_prompt)
        if headings:
            yield Delegate(key="sections", parts=_briefs(turn, headings))
        else:
            yield Reply(text=say("outline_none", turn.text), confidence=0.0)
        return
    text, remarks = joined(turn.text, [(_heading(child.text), child) for child in written])
    if not text:
        yield Reply(text=say("sections_none", turn.text), confidence=0.0)
        return
    listed = "\n".join(f"- {remark}" for remark in remarks)
    said = say("remarked", turn.text, text=text, remarks=listed) if remarks else text
    yield Reply(text=said, artifacts=files_of(turn.text, text))


def outline(turn: Turn, prompt: str) -> list[str]:
    """The headings that a model gives for a piece, none twice; empty when it gives under two."""
    messages = [
        Message(role="system", content=prompt),
        Message(role="user", content=turn.text),
    ]
    headings: list[str] = []
    for line in turn.llm.chat(messages, **sampling(turn.agent.options)).splitlines():
        heading = re.sub(r"^[\s#*\-•]*(?:\d+[.)、]|[一二三四五六七八九十]+、)?\s*", "", line)
        heading = heading.strip(" *#:：.")
        known = [each.lower() for each in headings]
        if 1 < len(heading) <= 90 and terms(heading) and heading.lower() not in known:
            headings.append(heading)
    return headings[:SECTIONS] if len(headings) > 1 else []


def _briefs(turn: Turn, headings: Sequence[str]) -> tuple[Part, ...]:
    """What whoever writes a section is told: its heading first, then the piece and its outline."""
    every = "; ".join(headings)
    return tuple(
        Part(
            agent=turn.agent.name,
            text=say(
                "section_brief",
                turn.text,
                number=number,
                total=len(headings),
                heading=heading,
                piece=turn.text,
                outline=every,
            ),
        )
        for number, heading in enumerate(headings, 1)
    )


def _heading(brief: str) -> str:
    """The heading of a section, from its brief."""
    return re.split(r"[:：] ?", brief.partition("\n")[0], maxsplit=1)[1]


def joined(asked: str, sections: Sequence[tuple[str, Child]]) -> tuple[str, list[str]]:
    """Sections as one piece without what they repeat, and what a reader should look at."""
    told: list[set[str]] = []
    kept: list[tuple[str, str]] = []
    remarks, cut = [], 0
    for heading, child in sections:
        body = _body(child.reply.text, heading) if child.reply else ""
        if not body:
            remarks.append(say("section_missing", asked, heading=heading))
            continue
        body, repeated = _without_repeats(body, told)
        cut += repeated
        if not body:
            remarks.append(say("section_repeats", asked, heading=heading))
            continue
        if not set(terms(body)) & set(terms(f"{heading} {asked}")):
            remarks.append(say("section_strays", asked, heading=heading))
        kept.append((heading, body))
    if cut and kept:
        remarks.append(say("repeats_cut", asked, number=cut))
    pieces = (f"## {heading}\n\n{body}" for heading, body in kept)
    return "\n\n".join(pieces), [*remarks, *breaks(asked, kept)]


def _body(text: str, heading: str) -> str:
    """A section without the heading that its writer may have set above it."""
    first, _, rest = text.strip().partition("\n")
    return rest.strip() if first.strip(" #*:：.").lower() == heading.lower() else text.strip()


def _without_repeats(text: str, told: list[set[str]]) -> tuple[str, int]:
    """A text without the sentences that say what was told, and how many those were."""
    kept, place, cut = "", 0, 0
    for sentence in sentences(text):
        own = set(terms(sentence.text))
        if len(own) > 2 and any(len(own & each) >= ALIKE * len(own | each) for each in told):
            kept += text[place : sentence.start]
            place = sentence.end
            cut += 1
        elif own:
            told.append(own)
    kept += text[place:]
    return re.sub(r"(?<=\S) {2,}", " ", kept).strip(), cut


def is_long(turn: Turn, text: str) -> bool:
    """Whether a text is too long for the model to sum it up at once."""
    return len(text) > _room(turn, text)


def _room(turn: Turn, text: str) -> int:
    """Characters that the model surely reads at once, beside what it is told."""
    tokens = budget(turn.llm, turn.agent.options) * 3 // 4
    return max(500, tokens if is_chinese(text) else 3 * tokens)


def long_summary(turn: Turn, name: str, text: str) -> Iterator[Emitted]:
    """Have the parts of a text summed up, and join that: each sentence with its place."""
    parts = divided(text, max(_room(turn, text), len(text) // MOST_PARTS + 1))
    written = turn.children()
    if written is None:
        yield Delegate(
            parts=tuple(
                Part(
                    agent=turn.agent.name,
                    text=say("sum_up_part", turn.text, number=number, total=len(parts)),
                    attachments=(Attachment(name=f"{name} {number}", text=part),),
                )
                for number, part in enumerate(parts, 1)
            )
        )
        return
    lines, citations = [], []
    for number, (part, child) in enumerate(zip(parts, written, strict=True), 1):
        told = child.reply.text if child.reply else ""
        sourced = [(each.text, _source(each.text, part)) for each in sentences(told)]
        kept = [(said, source) for said, source in sourced if source]
        said = "".join(f"{each} " for each, _ in kept).strip() or key_sentences(part, most=1)
        quote = kept[0][1] if kept else said
        lines.append(f"- {said} [{number}]")
        place = say("part_of", turn.text, name=name, number=number, total=len(parts))
        citations.append(Citation(source=name, title=place, quote=quote, score=1.0))
    reply = Reply(text="\n".join(lines), citations=tuple(citations))
    yield Token(text=reply.text)
    yield reply


def short_summary(turn: Turn, text: str, written: str) -> Iterator[Emitted]:
    """What the model wrote of a text if it invents nothing, else the text's own key sentences.

    Of a file each sentence is cited with the one of the file that it rests on.
    """
    fits = 0 < len(written) < len(text) and not inventions(text, written)
    sourced = fits and same_subject(text, written)
    said = written if sourced else key_sentences(text)
    citations: tuple[Citation, ...] = ()
    if turn.attachments and text == turn.attachments[0].text:
        said, citations = _cited(turn.attachments[0].name, text, said)
    said = said if sourced else say("summary_quoted", turn.text, text=said)
    yield Token(text=said)
    yield Reply(text=said, citations=citations)


def _cited(name: str, text: str, said: str) -> tuple[str, tuple[Citation, ...]]:
    """A summary with a number behind each sentence, and the sentences that they stand for."""
    quotes: dict[str, int] = {}
    lines = []
    for sentence in sentences(said):
        if quote := _source(sentence.text, text):
            number = quotes.setdefault(quote, len(quotes) + 1)
            lines.append(f"{sentence.text} [{number}]")
    sources = (Citation(source=name, title=name, quote=quote, score=1.0) for quote in quotes)
    return " ".join(lines), tuple(sources)


def divided(text: str, room: int) -> list[str]:
    """A text in parts of at most so many characters, cut between sentences where that can be."""
    parts, start, end = [], 0, 0
    for sentence in sentences(text):
        if end > start and sentence.end - start > room:
            parts.append(text[start:end])
            start = sentence.start
        end = sentence.end
        while end - start > room:
            parts.append(text[start : start + room])
            start += room
    return [each.strip() for each in [*parts, text[start:end]] if each.strip()]


def _source(said: str, part: str) -> str:
    """The sentence of a part that a sentence of its summary rests on; empty: there is none."""
    own = set(terms(said))
    if not own or inventions(part, said):
        return ""
    best = max(sentences(part), key=lambda each: len(own & set(terms(each.text))))
    return best.text if own & set(terms(best.text)) else ""
