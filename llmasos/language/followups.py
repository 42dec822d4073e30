"""Follow-ups: making a question that leans on the conversation stand by itself.

"And on mobile?" means nothing to a search; with the question before it, it does. By rules, in
English and Chinese; no model. Start reading at `standalone`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llmasos.generation import Message
from llmasos.language.lexicon import GENERIC
from llmasos.language.words import is_chinese, stem, terms

_REFERS = re.compile(
    r"\b(?:it|its|this|that|these|those|they|them|their|he|she|him|her|there|one|ones|both|same"
    r"|former|latter|otherwise|instead|either)\b|它|这个|那个|这些|那些|该|他们|她|其|这样|那样|上面|刚才",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"^\W*(?:and|or|but|so|then|also|what about|how about|what if|why|since when|for how long"
    r"|on |in |for |with |without |那|那么|还有|如果|为什么|另外|然后)|呢\W*$",
    re.IGNORECASE,
)
_GENERIC = frozenset(stem(word) for word in GENERIC)
FEW = 2
"""A message with so few terms of its own leans on what was said before."""


@dataclass(frozen=True)
class Standalone:
    """A message that can be understood by itself."""

    text: str
    """What to search for."""
    context: str = ""
    """The earlier question that was added to it; empty when none was needed."""


def standalone(message: str, history: Sequence[Message]) -> Standalone:
    """The message with the question that it leans on, if it does.

    history: the conversation before it, oldest first.
    """
    asked = [each.content for each in history if each.role == "user"]
    context = ""
    if leans(message):
        while asked:
            context = f"{asked.pop()} {context}".strip()
            if not leans(context):
                break
    return Standalone(f"{context} {message}".strip() if context else message, context)


def leans(message: str) -> bool:
    """Whether a message leans on what was said before."""
    own = {term for term in terms(message) if term not in _GENERIC}
    if is_chinese(message):
        return (
            bool(_GOES_ON.search(message))
            or len(own) <= FEW
            or (bool(_REFERS.search(message)) and len(own) <= 2 * FEW)
        )
    if len(own) <= FEW and (_GOES_ON.search(message) or _REFERS.search(message)):
        return True
    return len(own) <= 1 or (bool(_GOES_ON.search(message)) and len(own) <= FEW + 1)
