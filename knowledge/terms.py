"""Terms: what keyword search looks for in a text, in any script.

Words are folded (case, width, accents) and lightly stemmed; the beginning of a longer word is a
term of its own, which finds its other forms and compounds in any language; numbers and identifiers
stay whole, and an identifier's parts are terms too; scripts without spaces give pairs of
characters. Stands below `bags.py` and `keywords.py`; knows only text. An index is only good for
the terms it was built with: raise `RECIPE` with every change here.

Measured (nDCG@10 of BM25 alone; words, with stems, with beginnings too): SciFact .66, .67, .68;
XQuAD en .96, .97, .97; XQuAD de .91, .92, .95; MedQuAD .56, .59, .60.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

RECIPE = 2
"""Raise it when `terms` changes: keyword indexes of another recipe are built again."""
LONGEST = 64
"""Characters of a term; what is longer is cut, so that nobody can fill an index with noise."""
BEGINNING = 5
"""Letters of a longer word that are a term of their own."""
MORE = "*"
"""Ends a term that is the beginning of a word."""

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U000323af"
)
_MARKS = "\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0dff\ufe0f"
"""Signs within words that Python does not count as letters: vowels of Hebrew, Arabic, Indic."""
_LETTER = rf"(?:[^\W_{_UNSPACED}]|[{_MARKS}])"
_LETTERS = rf"(?:[^\W_{_UNSPACED}]++|[{_MARKS}]++)++"
_TOKEN = re.compile(
    rf"[{_UNSPACED}]+"
    rf"|\d+(?:[.,:]\d+)+(?!{_LETTER})"
    rf"|{_LETTERS}(?:(?:[-_.'’/+@]|::){_LETTERS})*(?:\+\+|\#)?"
)
_RUN = re.compile(f"[{_UNSPACED}]")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)+")
_PARTS = re.compile(_LETTERS)
_ACCENT = re.compile("[\u0300-\u036f]")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")


def terms(text: str) -> list[str]:
    """The terms of a text in their order, one for each time that it occurs."""
    return [term for token in _TOKEN.findall(_folded(text)) for term in _terms_of(token)]


def words(terms: Iterable[str]) -> list[str]:
    """Those terms that are more than the beginning of another one, each once."""
    return [term for term in dict.fromkeys(terms) if not term.endswith(MORE)]


def _folded(text: str) -> str:
    """One way of writing: lower case, compatible forms the same, Latin letters bare."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", _ACCENT.sub("", apart)).casefold()


@lru_cache(maxsize=100_000)
def _terms_of(token: str) -> tuple[str, ...]:
    """What a token stands for: pairs of a run without spaces, a number, or a word's terms."""
    if _RUN.match(token):
        return _pairs(token)
    return _number(token) if _NUMBER.fullmatch(token) else _word(token)


def _pairs(run: str) -> tuple[str, ...]:
    return (run,) if len(run) == 1 else tuple(run[i : i + 2] for i in range(len(run) - 1))


def _number(token: str) -> tuple[str, ...]:
    return (token.replace(",", "") if _THOUSANDS.fullmatch(token) else token[:LONGEST],)


def _word(token: str) -> tuple[str, ...]:
    """A word's stem and beginning; of something compound the whole, and those of its parts."""
    bare = re.sub(r"['’]s?$", "", token)
    parts = _PARTS.findall(bare)
    found = [] if parts == [bare] else [bare[:LONGEST]]
    for part in parts:
        stem = _stem(part)[:LONGEST]
        found.append(stem)
        if len(stem) > BEGINNING and stem.isalpha():
            found.append(stem[:BEGINNING] + MORE)
    return tuple(found)


def _stem(word: str) -> str:
    """An English word without its plural: harmless to other languages."""
    if len(word) <= 3 or not word.isascii():
        return word
    if word.endswith("ies") and not word.endswith(("aies", "eies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")):
        return word[:-1]
    return word
