"""The customer service agent: answers from the help center, with sources, or calls a person.

Greetings, thanks and the wish for a person are met here; all else is the flow of every agent with
knowledge (`llmasos/grounded.py`), which takes follow-ups, checks, cites and declines.
"""

import re
from collections.abc import Iterator

from llmasos.agent import Agent, Emitted, prompt
from llmasos.events import Handoff, Reply, Token
from llmasos.generation import Options
from llmasos.grounded import grounded
from llmasos.language.phrases import say
from llmasos.turn import Turn

_GREETS = (
    r"(?:hi|hello|hey|good (?:morning|afternoon|evening|day)|greetings"
    r"|你好|您好|早上好|下午好|晚上好|嗨)"
)
_THANKS = (
    r"(?:thanks?|thank you|thx|cheers|great|perfect|ok(?:ay)?|got it"
    r"|谢谢|多谢|感谢|好的|明白了?|知道了)"
)
_FILLER = (
    r"(?:\s*(?:there|all|team|everyone|so much|very much|a lot|again|你们?|您|了|啊"
    r"|[!！,，.。~🙏👋😊]|:\)))*"
)
SMALL_TALK = {
    "greeting": re.compile(rf"\W*{_GREETS}{_FILLER}\W*", re.IGNORECASE),
    "thanks": re.compile(rf"\W*{_THANKS}(?:[\s,.!，。！]+{_THANKS})*{_FILLER}\W*", re.IGNORECASE),
}
PERSON = re.compile(
    r"\b(?:talk|speak|chat|connect|transfer|put|get)\b.{0,20}\b(?:to|with|through|me)\b.{0,12}"
    r"\b(?:person|human|agent|someone|somebody|representative|operator)\b|转人工|人工(?:客服|服务)|真人",
    re.IGNORECASE,
)
LONGEST_WISH = 80
"""Characters of a message that is nothing but the wish for a person."""


def answer(turn: Turn) -> Iterator[Emitted]:
    """Answer a customer's message."""
    for phrase, pattern in SMALL_TALK.items():
        if pattern.fullmatch(turn.text):
            yield from _said(say(phrase, turn.text))
            return
    if PERSON.search(turn.text) and len(turn.text) <= LONGEST_WISH and "?" not in turn.text:
        handoff = Handoff(reason="the customer asked for a person", to="person")
        yield from _said(say("person", turn.text), handoff)
        return
    yield from grounded(turn)


def _said(text: str, handoff: Handoff | None = None) -> Iterator[Emitted]:
    yield Token(text=text, checked=True)
    yield Reply(text=text, confidence=1.0, handoff=handoff)


customer_service = Agent(
    name="customer_service",
    description="Answers customers' questions from the help center, with sources.",
    instructions=prompt(__package__, "customer_service.md"),
    knowledge=["help-center"],
    examples=[
        "How do I reset my password?",
        "Can I get a refund for my order?",
        "What does the plan cost?",
        "怎么修改我的邮箱地址？",
        "如何申请退款？",
    ],
    options=Options(max_new_tokens=160),
    flow=answer,
)
