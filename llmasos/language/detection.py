"""Which language a text is written in, as far as its script and commonest words tell.

Good for a whole message, not for a word; says nothing rather than something wrong.
"""

import re
from collections import Counter

_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u3400-\u9fff]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
)
_COMMON = {  # none of one letter but English ones: code has those as names
    "en": "the and is are you i my to of in it for can how what do does not this that with",
    "de": "der die das und ist ich nicht ein eine zu mit wie kann für auf mein sie es was bitte",
    "fr": "le la les et est je vous pas un une des que pour dans comment mon ma avec ce qui",
    "es": "el los las es yo no un una que para en cómo mi con por se del qué puedo está",
    "it": "il gli io non un una che per di come mio con del della sono posso questo quale",
    "pt": "os eu não um uma que para em como meu minha com por se do da você posso",
    "nl": "de het een en is ik niet van te dat hoe mijn met voor op kan zijn wat u wordt",
}
_ALONE = {
    word: language
    for language, words in {
        "de": "danke dankeschön vielen guten hilfe bist kannst",
        "fr": "bonjour bonsoir merci peux-tu pouvez-vous es-tu",
        "es": "hola gracias buenos buenas ayuda eres puedes",
    }.items()
    for word in words.split()
}
"""Words that tell the language of a message of a few words by themselves."""
FEW = 4
"""Words of such a message."""
_WORDS = {language: frozenset(words.split()) for language, words in _COMMON.items()}
SHARE = {"ja": 6}
"""A script that at least one letter in so many has tells its language; 3 where none is named.
Japanese has characters beside its own letters."""
ENOUGH = 2
"""Common words that tell a language, and by how many it must lead."""


def language_of(text: str) -> str | None:
    """The ISO 639-1 code of a text's language; None when it cannot be told."""
    letters = re.findall(r"[^\W\d_]", text)
    for language, script in _SCRIPTS:
        found = sum(bool(script.match(letter)) for letter in letters)
        if found * SHARE.get(language, 3) > len(letters):
            return language
    words = re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)?", text.lower())
    if len(words) <= FEW and (told := {_ALONE[word] for word in words if word in _ALONE}):
        return told.pop() if len(told) == 1 else None
    counts = Counter(
        {language: sum(word in common for word in words) for language, common in _WORDS.items()}
    )
    (best, most), (_, second) = counts.most_common(2)
    return best if most >= ENOUGH and most - second >= ENOUGH - 1 else None
