"""The customer service agent: answers from the help center, with sources, or calls a person.

Greetings, thanks, anger and the wish for a person are met here, and answers that people have
written go first (`customer_service_answers.py`); what is to be done is done in a dialogue
(`customer_service_dialogue.py`); all else is the flow of every agent with knowledge
(`llmasos/grounded.py`), which takes follow-ups, checks, cites and declines. Whoever takes over gets
a summary (`customer_service_summary.py`). Start reading at `Desk`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agents.customer_service_answers import CuratedAnswers, read_answers
from agents.customer_service_dialogue import Dialogue, asks, said
from agents.customer_service_intents import Intents, place_of
from agents.customer_service_summary import summed_up
from agents.loading import tool_from_module
from llmasos.agent import Agent, Emitted, prompt
from llmasos.embeddings import Embeds
from llmasos.errors import SettingsError
from llmasos.events import Handoff, Reply, Token
from llmasos.generation import Options
from llmasos.grounded import grounded
from llmasos.language.followups import leans
from llmasos.language.phrases import say
from llmasos.settings import AgentOverride, IntentSettings, Settings
from llmasos.tools import Tool, as_tool
from llmasos.turn import Turn

_GREETS = (
    r"(?:hi|hello|hey|good (?:morning|afternoon|evening|day)|greetings"
    r"|hallo|moin|guten (?:morgen|tag|abend)|bonjour|bonsoir|salut"
    r"|hola|buen[oa]s (?:d[ií]as|tardes|noches)"
    r"|你好|您好|早上好|下午好|晚上好|嗨|こんにちは|こんばんは|おはよう(?:ございます)?)"
)
_THANKS = (
    r"(?:thanks?|thank you|thx|cheers|great|perfect|ok(?:ay)?|got it"
    r"|danke(?: schön| sehr)?|vielen dank|merci(?: beaucoup)?|(?:muchas )?gracias"
    r"|谢谢|多谢|感谢|好的|明白了?|知道了|ありがとう(?:ございます|ございました)?)"
)
_ABILITIES = (
    r"(?:(?:so |and )?what (?:can|do) you do"
    r"|what can (?:i|you) (?:ask|help)(?: you| me| us)?(?: with)?"
    r"|how can you help(?: me| us)?|who are you|what are you|help|was kannst du|wer bist du|hilfe"
    r"|que peux-tu faire|que pouvez-vous faire|qui es-tu|aide|qué puedes hacer|quién eres|ayuda"
    r"|你(?:能|会|可以)做什么|你是谁|你能帮我什么|帮助|何ができますか?|あなたは誰ですか?)"
)
_FILLER = (
    r"(?:\s*(?:there|all|team|everyone|so much|very much|a lot|again|你们?|您|了|啊"
    r"|[!！,，.。~🙏👋😊]|:\)))*"
)
SMALL_TALK = {
    "greeting": re.compile(rf"\W*{_GREETS}{_FILLER}\W*", re.IGNORECASE),
    "abilities": re.compile(rf"(?:{_GREETS}\W+)?\W*{_ABILITIES}{_FILLER}\W*", re.IGNORECASE),
    "thanks": re.compile(rf"\W*{_THANKS}(?:[\s,.!，。！]+{_THANKS})*{_FILLER}\W*", re.IGNORECASE),
}
PERSON = re.compile(
    r"\b(?:talk|speak|chat|connect|transfer|put|get)\b.{0,20}\b(?:to|with|through|me)\b.{0,12}"
    r"\b(?:person|human|agent|someone|somebody|representative|operator)\b"
    r"|\bmit (?:einem|einer|dem|der)\b.{0,20}\b(?:menschen|mitarbeiter(?:in)?|person)\b"
    r"|\bparler (?:à|avec)\b.{0,12}\b(?:personne|humain|conseiller|quelqu['’]un)\b"
    r"|\bhablar con\b.{0,12}\b(?:persona|humano|agente|alguien)\b"
    r"|转人工|人工(?:客服|服务)|真人|担当者(?:と|に)|人と話",
    re.IGNORECASE,
)
LONGEST_WISH = 80
"""Characters of a message that is nothing but the wish for a person."""


ANGRY = re.compile(
    r"\b(?:ridiculous|unacceptable|outrageous|useless|pathetic|fed up|sick (?:and tired )?of"
    r"|(?:terrible|awful|worst) (?:service|support)|waste of (?:my )?time|this is a joke"
    r"|i(?:['’]ve| have)? already (?:told|asked|said)|for the (?:third|fourth|fifth|tenth) time"
    r"|you(?:['’]re| are) not (?:helping|listening))\b"
    r"|垃圾|太差|受够了|浪费.{0,4}时间|说过.{0,3}遍|答非所问|什么破",
    re.IGNORECASE,
)
"""Words of somebody who has had enough."""


@dataclass(frozen=True)
class Desk:
    """The flow of customer service: an agent's `flow`.

    answers: those that people have written; they go first. dialogue: what is done for intents.
    """

    answers: CuratedAnswers | None = None
    dialogue: Dialogue | None = None

    def __call__(self, turn: Turn) -> Iterator[Emitted]:
        """Answer a customer's message; whoever takes over is told what was said before it."""
        for emitted in self._answered(turn):
            if isinstance(emitted, Reply) and emitted.handoff is not None:
                handoff = summed_up(turn, emitted.handoff)
                emitted = emitted.model_copy(update={"handoff": handoff})
            yield emitted

    def _answered(self, turn: Turn) -> Iterator[Emitted]:
        for phrase, pattern in SMALL_TALK.items():
            if pattern.fullmatch(turn.text):
                yield from said(say(phrase, turn.text, where=", ".join(turn.agent.knowledge)))
                return
        if PERSON.search(turn.text) and len(turn.text) <= LONGEST_WISH and not asks(turn.text):
            yield from _to_person(turn, "person", "the customer asked for a person")
            return
        if ANGRY.search(turn.text) and not asks(turn.text):
            yield from _to_person(turn, "sorry", "the customer is frustrated")
            return
        going_on = self.dialogue.going_on(turn) if self.dialogue else None
        curated = going_on or self._curated(turn)
        begun = self.dialogue.begun(turn) if self.dialogue and not curated else None
        yield from curated or begun or grounded(turn)

    def _curated(self, turn: Turn) -> tuple[Emitted, ...]:
        """The answer that people have written for a message, if it surely asks for it."""
        if self.answers is None or (turn.history and leans(turn.text)):
            return ()
        found = self.answers.answer_to(turn.text)
        if found is None:
            return ()
        entry, alike = found
        citation = entry.citation(alike)
        text = f"{entry.answer} [1]"
        reply = Reply(text=text, citations=(citation,), confidence=citation.score)
        return Token(text=text, checked=True), citation, reply


def equipped(
    agent: Agent, override: AgentOverride, settings: Settings, embedder: Embeds | None
) -> Agent:
    """The agent with the answers and intents that the configuration names for it.

    Raises SettingsError when they cannot be used, or its flow takes none.
    """
    flow = agent.flow
    if not isinstance(flow, Desk):
        given = "answers" if override.answers else "intents" if override.intents else None
        if given:
            name = f"agents.{agent.name}.{given}"
            raise SettingsError(name, "", "this agent's flow takes none: customer_service does.")
        return agent
    if override.answers:
        flow = replace(flow, answers=_written(agent.name, override.answers, settings, embedder))
    intents = Intents(place_of(settings.home, agent.name), embedder) if embedder else None
    flow = replace(flow, dialogue=Dialogue(intents, override.intents))
    tools = tuple(_tools(agent, override.intents, settings))
    return agent.with_changes(flow=flow, tools=(*agent.tools, *tools))


def _written(agent: str, named: str, settings: Settings, embedder: Embeds | None) -> CuratedAnswers:
    try:
        entries = read_answers(settings.folder / Path(named).expanduser())
    except (OSError, ValueError) as error:
        reason = f"cannot be read: {error}"
        raise SettingsError(f"agents.{agent}.answers", named, reason) from error
    return CuratedAnswers(entries, embedder)


def _tools(
    agent: Agent, intents: Mapping[str, IntentSettings], settings: Settings
) -> Iterator[Tool]:
    """The tools that intents name as `module:name`, each once; what is wrong with any is said."""
    known = {tool.name: tool for tool in map(as_tool, agent.tools)}
    titles: set[str] = set()
    for name, intent in intents.items():
        where = f"agents.{agent.name}.intents.{name}"
        if intent.title and intent.title in titles:
            raise SettingsError(f"{where}.title", intent.title, "another intent has this title.")
        titles.add(intent.title or "")
        if intent.tool and ":" in intent.tool:
            tool = tool_from_module(intent.tool, settings.folder)
            if tool.name not in known:
                known[tool.name] = tool
                yield tool
        elif intent.tool and intent.tool not in known and not agent.mcp:
            raise SettingsError(f"{where}.tool", intent.tool, "the agent has no such tool.")
        _check_slots(where, intent, known.get((intent.tool or "").rpartition(":")[2]))


def _check_slots(where: str, intent: IntentSettings, tool: Tool | None) -> None:
    """Raise SettingsError for a slot that is no argument, or whose pattern is no expression.

    tool: None where only a server that does not run yet knows it.
    """
    for slot, own in intent.slots.items():
        if tool and slot not in tool.parameters["properties"]:
            raise SettingsError(f"{where}.slots.{slot}", "", f"{tool.name} has no such argument.")
        try:
            re.compile(own.pattern or "")
        except re.error as error:
            place = f"{where}.slots.{slot}.pattern"
            raise SettingsError(place, repr(own.pattern), str(error)) from error


def _to_person(turn: Turn, phrase: str, reason: str) -> Iterator[Emitted]:
    yield from said(say(phrase, turn.text), Handoff(reason=reason, to="person"))


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
    flow=Desk(),
)
