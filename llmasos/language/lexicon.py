"""Word lists: what says nothing, what says little, what means the same.

The lists are in `lexicon.toml`; `words.py` and `questions.py` count with them.
"""

import tomllib
from importlib import resources

_LISTS = tomllib.loads((resources.files(__package__) / "lexicon.toml").read_text(encoding="utf-8"))

STOP = frozenset(_LISTS["stop"].split())
"""Words that say nothing of the subject."""
STOP_CJK = frozenset(_LISTS["stop_cjk"].split())
"""Characters that say nothing of the subject; a pair that has one of them is no term."""
GENERIC = frozenset(_LISTS["generic"].split())
"""Words that say little of the subject: their absence from a passage means little."""
SYNONYMS = tuple(frozenset(line.split()) for line in _LISTS["synonyms"].strip().splitlines())
"""Groups of words that a question and its answer may use for the same thing."""
IRREGULAR = {
    form: forms[0]
    for forms in map(str.split, _LISTS["irregular"].strip().splitlines())
    for form in forms[1:]
}
"""Forms of words that no rule finds, each with its ground form."""
COUNTRIES = tuple(each.strip() for each in _LISTS["countries"].split(","))
"""Names of countries and of unions of them, as a text may have them."""
STOP_IN = {language: frozenset(words.split()) for language, words in _LISTS["stop_in"].items()}
"""Words of other languages that say nothing of the subject. For naming it alone: a passage is held
to all words of such a question, since their endings are not known and the others are too few."""
OPPOSITES = tuple(tuple(line.split()) for line in _LISTS["opposites"].strip().splitlines())
"""Pairs of words that exclude each other."""
