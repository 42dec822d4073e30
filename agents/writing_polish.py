"""Polishing: a text made to read better piece by piece, each held to what it said.

A piece whose new version does not pass the gate is only corrected. Start reading at `polished`.
"""

import re

from agents.writing_checker import checked
from agents.writing_gate import keeps_meaning
from agents.writing_long import divided
from llmasos.generation import Message
from llmasos.language.phrases import say
from llmasos.language.words import is_chinese
from llmasos.prompting import sampling
from llmasos.turn import Turn

PIECE = 500
"""Characters that the model polishes at once: of a short piece little is lost when it strays."""
_NO_PROSE = re.compile(r"(?:#{1,6}|[-*+]|\d+[.)])\s|```|\|")
"""What a heading, a list, a table or code begins with."""


def polished(turn: Turn, system: str, text: str) -> str:
    """A text that reads better, and below it how much of it was only corrected."""
    paragraphs, left, total = [], 0, 0
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if _NO_PROSE.match(paragraph):
            paragraphs.append(checked(paragraph)[0])
            continue
        pieces = []
        for piece in divided(paragraph, PIECE):
            total += 1
            new = _rewritten(turn, system, piece)
            if not keeps_meaning(piece, new):
                new, left = checked(piece)[0], left + 1
            pieces.append(new)
        paragraphs.append(("" if is_chinese(paragraph) else " ").join(pieces))
    whole = "\n\n".join(paragraphs)
    if not left:
        return whole
    if left == total:
        return say("polished_not", turn.text, text=whole)
    return say("polished_partly", turn.text, text=whole, number=left, total=total)


def _rewritten(turn: Turn, system: str, piece: str) -> str:
    """What the model makes of a piece."""
    messages = [Message(role="system", content=system), Message(role="user", content=piece)]
    written = turn.llm.chat(messages, **sampling(turn.agent.options))
    turn.checkpoint()
    return written.strip().strip('"“”')
