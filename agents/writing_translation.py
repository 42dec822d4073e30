"""Translation with a glossary: its terms are held to, and what could not be kept is said.

Knows the model by its turn. Start reading at `translated`.
"""

import re
from collections.abc import Iterable, Mapping

from llmasos.flow import prompt_of
from llmasos.generation import Message
from llmasos.language.phrases import say
from llmasos.language.words import is_chinese
from llmasos.prompting import sampling
from llmasos.turn import Turn

_GLOSSARY = re.compile(
    r"\b(?:glossary|terms)\s*[:：](.+?)(?=\n\s*\n|\Z)|(?:术语表|词汇表|术语)\s*[:：](.+?)(?=\n\s*\n|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_PAIR = re.compile(r"[\s\-*]*([^=→;；\n]{1,80}?)\s*(?:=|→|->)\s*([^=→;；\n]{1,80})")


def glossary_of(message: str) -> tuple[dict[str, str], str]:
    """The glossary that a message holds, as terms and their translations, and the rest of it."""
    found = _GLOSSARY.search(message)
    pairs = _PAIR.findall(found.group(1) or found.group(2)) if found else []
    if not found or not pairs:
        return {}, message
    rest = f"{message[: found.start()].rstrip()}{message[found.end() :]}"
    return {term.strip(): meant.strip(" .,，。") for term, meant in pairs}, rest.strip()


def translated(turn: Turn, system: str, text: str, glossary: Mapping[str, str]) -> str:
    """A text's translation, and below it what of glossary and numbers it lacks.

    A model that missed terms is told so, once.
    """
    due = {term: meant for term, meant in glossary.items() if _holds(text, term)}
    messages = prompt_of(turn, system)
    options = sampling(turn.agent.options)
    new = _with_terms(turn.llm.chat(messages, **options).strip(), due)
    missed = _missed(new, due)
    if new and missed:
        turn.checkpoint()
        told = say("glossary_again", turn.text, terms=_listed(missed, due))
        again = [Message(role="assistant", content=new), Message(role="user", content=told)]
        other = _with_terms(turn.llm.chat([*messages, *again], **options).strip(), due)
        if other and len(_missed(other, due)) < len(missed):
            new, missed = other, _missed(other, due)
    if not new:
        return say("empty", turn.text)
    notes = []
    if missed:
        notes.append(say("glossary_missed", turn.text, terms=_listed(missed, due)))
    lost = sorted(_digits(text) ^ _digits(new))
    if lost:
        notes.append(say("numbers_differ", turn.text, numbers=", ".join(lost)))
    return "\n\n".join([new, *notes])


def _with_terms(text: str, due: Mapping[str, str]) -> str:
    """A translation with the terms that were left as they are put right."""
    for term in sorted(due, key=len, reverse=True):
        if not _holds(text, due[term]):
            text = _pattern(term).sub(due[term].replace("\\", r"\\"), text)
    return text


def _missed(text: str, due: Mapping[str, str]) -> list[str]:
    return [term for term, meant in due.items() if not _holds(text, meant)]


def _holds(text: str, term: str) -> bool:
    return bool(_pattern(term).search(text))


def _pattern(term: str) -> re.Pattern[str]:
    """A term as a word of its own; Chinese has no gaps between words."""
    edges = ("", "") if is_chinese(term) else (r"(?<!\w)", r"(?!\w)")
    return re.compile(f"{edges[0]}{re.escape(term)}{edges[1]}", re.IGNORECASE)


def _listed(terms: Iterable[str], due: Mapping[str, str]) -> str:
    return "; ".join(f"{term} = {due[term]}" for term in terms)


def _digits(text: str) -> set[str]:
    """The numbers of a text, however their digits are grouped."""
    return {re.sub(r"[.,]", "", found) for found in re.findall(r"\d[\d.,]*\d|\d", text)}
