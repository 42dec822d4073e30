"""The router: which agent a message is for when it names none.

By words and by meaning. Words that a message shares with an agent's name, description and examples
(those that few agents share weigh more), and cues for code, for writing and for questions, which
speak for the built-in agents, in English and Chinese. Where there is an embedder, how near the
message is to the description or one of the examples. A message that speaks clearly for none stays
with the agent of its conversation, else goes to customer service, which says so when it knows
nothing. Start reading at `Router.route`.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import structlog

from agents.writing_tasks import task_of
from llmasos.agent import Agent
from llmasos.errors import LLMasOSError
from llmasos.language.lexicon import GENERIC
from llmasos.language.words import stem, terms

CLEAR = 0.3
"""From this score on a message speaks clearly for an agent."""
NEAR = 0.1
"""Up to this cosine two texts have nothing to do with each other."""
MEANING = 2.0
"""What nearness beyond that counts."""
STAYS = 0.3
"""What being the conversation's agent counts."""
DEFAULT = "customer_service"
LONGEST = 2_000
"""Characters of a message that are looked at."""
_GENERIC = frozenset(stem(word) for word in GENERIC)

_CODE = re.compile(
    r"```|\bdef \w+\(|\bTraceback\b|>>> "
    r"|\b(?:write|implement|code|create|make|give|build|fix|debug|refactor|need|show)\b.{0,40}"
    r"\b(?:function|script|code|program|class|method|regex|algorithm|python|unit tests?|snippet)\b"
    r"|\bin python\b|写.{0,12}(?:函数|代码|脚本|程序|算法|正则)"
    r"|(?:函数|代码|脚本|程序).{0,6}(?:写|实现|调试)|用\s*python",
    re.IGNORECASE,
)
_WRITE = re.compile(
    r"\b(?:write|draft|compose|create)\b.{0,40}\b(?:e-?mail|letter|poem|story|note|blog|post|essay|article"
    r"|announcement|speech|slogan|tagline|invitation|review|description|paragraph|text|message|report"
    r"|newsletter|haiku|song|script for)\b"
    r"|写.{0,12}(?:邮件|信|文章|故事|诗|通知|文案|稿|作文|短文|公告|祝福|报告)|起草|拟一",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"\?|？|^\W*(?:how|what|where|when|why|who|which|can|could|do|does|is|are|will|may)\b"
    r"|吗|怎么|如何|为什么|什么|哪里|多少|能否|可以",
    re.IGNORECASE,
)


Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""Gives one vector of length 1 for each text."""
log = structlog.get_logger()


@dataclass(frozen=True)
class Routed:
    """The agent for a message."""

    agent: Agent
    alternatives: tuple[str, ...] = ()
    """The others, if the message did not speak clearly for it."""


class Router:
    """Chooses agents. Safe to use from several threads.

    embed: None, or while it fails: by words alone.
    """

    def __init__(self, embed: Embed | None = None) -> None:
        self._embed = embed
        self._vectors: dict[str, npt.NDArray[np.float32]] = {}

    def route(self, agents: Sequence[Agent], text: str, previous: str | None = None) -> Routed:
        """The agent for a message. agents: those to choose from; previous: who answered last."""
        if len(agents) == 1:
            return Routed(agents[0])
        scores = scores_of(agents, text)
        for name, nearness in self._nearness(agents, text).items():
            scores[name] += MEANING * max(0.0, nearness - NEAR)
        if previous in scores:
            scores[previous] += STAYS
        by_name = {agent.name: agent for agent in agents}
        best = max(sorted(scores), key=lambda name: scores[name])
        if scores[best] >= CLEAR:
            return Routed(by_name[best])
        fallback = by_name.get(previous or "") or by_name.get(DEFAULT) or by_name[best]
        others = sorted(by_name.keys() - {fallback.name}, key=lambda name: -scores[name])
        return Routed(fallback, tuple(others))

    def _nearness(self, agents: Sequence[Agent], text: str) -> dict[str, float]:
        """The cosine of a message to what each agent says of itself, the best for each."""
        if self._embed is None or not text.strip():
            return {}
        profiles = {agent.name: _sayings(agent) for agent in agents}
        wanted = {each for sayings in profiles.values() for each in sayings}
        try:
            self._learn(self._embed, sorted(wanted - self._vectors.keys()))
            message = self._embed([text[:LONGEST]])[0]
        except LLMasOSError as error:
            log.warning("router.by_words_alone", error=type(error).__name__)
            return {}
        return {
            name: max(float(message @ self._vectors[each]) for each in sayings)
            for name, sayings in profiles.items()
            if sayings
        }

    def _learn(self, embed: Embed, sayings: Sequence[str]) -> None:
        if sayings:
            self._vectors.update(zip(sayings, embed(sayings), strict=True))


def scores_of(agents: Sequence[Agent], text: str) -> dict[str, float]:
    """How clearly a message speaks for each agent."""
    profiles = {agent.name: _profile(agent) for agent in agents}
    shared_by = Counter(term for profile in profiles.values() for term in profile)
    wanted = set(terms(text[:LONGEST]))
    weights = {
        term: (0.2 if term in _GENERIC else 1.0) / shared_by[term]
        for term in wanted
        if shared_by[term]
    }
    most = len([term for term in wanted if term not in _GENERIC]) or 1
    cues = _cues(text)
    return {
        name: sum(weight for term, weight in weights.items() if term in profile) / min(most, 4)
        + cues.get(name, 0.0)
        for name, profile in profiles.items()
    }


def _sayings(agent: Agent) -> list[str]:
    return [each for each in (agent.description, *agent.examples) if each.strip()]


def _profile(agent: Agent) -> set[str]:
    name = agent.name.replace("_", " ").replace("-", " ")
    return set(terms("\n".join([name, agent.description, *agent.examples])))


def _cues(text: str) -> dict[str, float]:
    """What the form of a message says for the built-in agents."""
    cues: dict[str, float] = {}
    if _CODE.search(text):
        cues["code_generation"] = 0.9
    task = task_of(text).name
    if task != "free" or _WRITE.search(text):
        cues["writing"] = 0.6 if task == "continue" or _QUESTION.search(text) else 0.8
    if _QUESTION.search(text) and not cues:
        cues["customer_service"] = 0.25
    return cues
