"""A tutor that asks, checks the answer itself, and gives a hint: an agent with a flow of its own.

Name this file in `llmasos.toml`, `load = ["./examples/tutoring.py"]`, and say `7 x 8` to `tutor`.
"""

import re
from collections.abc import Iterator

from llmasos import Reply, Token, Turn, agent

SUM = re.compile(r"(\d{1,4})\s*(?:x|\*|times)\s*(\d{1,4})", re.IGNORECASE)


@agent(
    "tutor",
    examples=["Practise 7 x 8 with me", "Ask me 12 times 6"],
    instructions="You are a kind tutor. Give a hint in one sentence. Never tell the result.",
)
def tutor(turn: Turn) -> Iterator[Token | Reply]:
    """Practises multiplication: the numbers are checked by code, the hints are the model's."""
    asked = next((m for text in _said(turn) if (m := SUM.search(text))), None)
    if asked is None:
        yield Reply(text="Give me a sum to practise, such as 7 x 8.")
        return
    right = int(asked[1]) * int(asked[2])
    guess = re.fullmatch(r"\W*(\d+)\W*", turn.text)
    if guess is None:
        yield Reply(text=f"What is {asked[1]} times {asked[2]}?")
    elif int(guess[1]) == right:
        yield Reply(text=f"Right! {asked[1]} times {asked[2]} is {right}.")
    else:
        hint = turn.llm.chat(
            [
                ("system", turn.agent.instructions),
                ("user", f"How can I work out {asked[1]} times {asked[2]}?"),
            ],
            max_new_tokens=60,
        )
        kept = "" if str(right) in hint else f" {hint.strip()}"
        yield Reply(text=f"Not {guess[1]}.{kept} Try again!")


def _said(turn: Turn) -> list[str]:
    """What the person has said, the latest first."""
    earlier = [message.content for message in turn.history if message.role == "user"]
    return [turn.text, *reversed(earlier)]
