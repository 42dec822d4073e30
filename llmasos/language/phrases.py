"""What agents say of themselves, in the language of the question.

Everything here is said by the flows, never by a model. Each language has a file in `said/`; what a
model is told (`FOR_MODELS`) is there in English and Chinese alone. Start reading at `say`.
"""

import tomllib
from functools import cache
from importlib import resources

from llmasos.language.detection import language_of as detected
from llmasos.language.words import is_chinese

FOR_MODELS = frozenset(("section_brief", "sum_up_part", "glossary_again", "summarise"))
"""Phrases that no person reads."""
LANGUAGES = ("en", "zh", "de", "fr", "es", "ja")


def say(phrase: str, language_of: str, **parts: object) -> str:
    """A phrase in the language that a text is written in; in English where it cannot be told.

    phrase: its name in the files; parts: what goes into it.
    """
    said = phrases(_language(language_of))
    return said.get(phrase, phrases("en")[phrase]).format(**parts)


def everywhere(phrase: str, **parts: object) -> tuple[str, ...]:
    """A phrase in each language that has it: what the agent may have said before."""
    every = (phrases(language) for language in LANGUAGES)
    return tuple(said[phrase].format(**parts) for said in every if phrase in said)


@cache
def phrases(language: str) -> dict[str, str]:
    """All phrases of a language, by name."""
    file = resources.files(__package__) / "said" / f"{language}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _language(text: str) -> str:
    """The language of a text, as far as it is one of ours."""
    found = detected(text)
    if found != "ja" and is_chinese(text):
        return "zh"
    return found if found in LANGUAGES else "en"
