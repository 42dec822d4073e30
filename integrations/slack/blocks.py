"""How an answer looks in Slack: its text, its sources, who answered, and what one can do about it.

A `Look` is all that one message shows at one moment. Everything that comes from a model or a
document is harmless here: Markdown has its mentions broken, all else is plain text, and a source's
link is ours alone. Who presses a button is told apart in `actions.py`.
"""

import re
from dataclasses import dataclass
from typing import Any

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextActionsBlock,
    ContextBlock,
    FeedbackButtonObject,
    FeedbackButtonsElement,
    MarkdownBlock,
    MarkdownTextObject,
    PlainTextObject,
)

from integrations.slack.markdown import escaped
from llmasos.events import Citation

EVENT_TYPE = "llmasos"
"""The `event_type` in the metadata of everything that we post."""
ASK_AGENT = "llmasos_ask_agent"
"""The beginning of the `action_id` of buttons that ask another agent the same."""
FEEDBACK_ACTION = "llmasos_feedback"
STOP_ACTION = "llmasos_stop"
AGAIN_ACTION = "llmasos_again"
PERSON_ACTION = "llmasos_person"
APPROVE_ACTION = "llmasos_approve"
DECLINE_ACTION = "llmasos_decline"
MOST_ALTERNATIVES = 4
SOURCES_LIMIT = 1_200
"""Characters of sources; with 11,000 of text a message stays below Slack's limit for blocks."""
FALLBACK_LIMIT = 3_000
"""Characters of plain text beside the blocks: for notifications and screen readers."""
TEXT_LIMIT = 3_900
"""Characters of that text once it is escaped (`chat.update` takes 4,000)."""
LONGEST_LINK = 300
"""Characters of a source's address; one with more is not linked."""
_ADDRESS = re.compile(r"https?://[^\s|<>\x00-\x20]+")
_MARKUP = re.compile(r"(?=[*_~`:])")


@dataclass(frozen=True)
class Source:
    """A source as it is named below an answer: `[1] Title (path)`."""

    number: int
    title: str
    path: str
    url: str | None = None

    @property
    def plain(self) -> str:
        """In words."""
        where = f" ({self.path})" if self.title and self.title != self.path else ""
        return f"[{self.number}] {self.title or self.path}{where}"

    @property
    def linked(self) -> str:
        """In Slack's markup, its title leading to its page."""
        if self.url is None:
            return _inert(self.plain)
        return f"[{self.number}] <{escaped(self.url)}|{_inert(self.title or self.path)}>"


@dataclass(frozen=True)
class Ending:
    """What stands below an answer."""

    sources: tuple[Source, ...] = ()
    files: tuple[str, ...] = ()
    """Artifacts that stand neither in the text nor below it."""
    agent: str = ""
    job_id: str = ""
    """Whose answer the buttons are about; empty: there are none."""
    opinion: bool = True
    """Whether people are asked what they think of it."""
    alternatives: tuple[str, ...] = ()
    """Agents to offer instead."""
    person: bool = False
    """Whether a person can be asked."""


@dataclass(frozen=True)
class Look:
    """What one message shows."""

    text: str = ""
    """Markdown, harmless."""
    status: str = ""
    ending: Ending | None = None
    stoppable: bool = False
    """Whether the job can be stopped here."""
    to_decide: bool = False
    """Whether the job waits for a yes or no."""
    job_id: str = ""
    part: int = 0
    final: bool = False

    def blocks(self) -> list[dict[str, Any]]:
        """The blocks to post."""
        made: list[Block] = []
        if self.text.strip():
            made.append(MarkdownBlock(text=self.text))
        if self.status:
            made.append(_small(self.status))
        if self.to_decide:
            made.append(_decision(self.job_id))
        if self.stoppable:
            made.append(ActionsBlock(elements=[_button("Stop", STOP_ACTION, self.job_id)]))
        return [block.to_dict() for block in made] + below(self.ending)

    def plain(self) -> str:
        """The text beside the blocks."""
        words = self.text.strip() or self.status or "…"
        if len(words) > FALLBACK_LIMIT:
            words = f"{words[:FALLBACK_LIMIT]} …"
        short = escaped(words)
        return short if len(short) <= TEXT_LIMIT else escaped(words[: TEXT_LIMIT // 5])

    def metadata(self) -> dict[str, Any]:
        """Whose message it is."""
        return metadata(self.job_id, self.part, final=self.final)

    def arguments(self) -> dict[str, Any]:
        """The arguments of `chat.postMessage` and `chat.update` that make it look so."""
        return {"text": self.plain(), "blocks": self.blocks(), "metadata": self.metadata()}


def metadata(job_id: str, part: int, *, final: bool) -> dict[str, Any]:
    """What everything that we post carries."""
    payload = {"job": job_id, "part": part, "final": final}
    return {"event_type": EVENT_TYPE, "event_payload": payload}


def mark_of(message: dict[str, Any]) -> dict[str, Any] | None:
    """What our metadata in a message says; None when it has none of ours."""
    found = message.get("metadata")
    if not isinstance(found, dict) or found.get("event_type") != EVENT_TYPE:
        return None
    payload = found.get("event_payload")
    return payload if isinstance(payload, dict) else {}


def source_of(number: int, citation: Citation) -> Source:
    """A citation as a source."""
    url = citation.url or ""
    linked = _ADDRESS.fullmatch(url) and len(url) <= LONGEST_LINK
    return Source(
        number,
        " ".join(citation.title.split())[:120],
        " ".join(citation.source.split())[:200],
        url if linked else None,
    )


def below(ending: Ending | None) -> list[dict[str, Any]]:
    """The blocks below an answer."""
    if ending is None:
        return []
    made: list[Block] = []
    if any(source.url for source in ending.sources):
        lines = tuple(source.linked for source in ending.sources)
        words = "Sources\n" + _within(lines, SOURCES_LIMIT)
        made.append(ContextBlock(elements=[MarkdownTextObject(text=words, verbatim=True)]))
    elif ending.sources:
        lines = tuple(source.plain for source in ending.sources)
        made.append(_small("Sources\n" + _within(lines, SOURCES_LIMIT)))
    if ending.files:
        names = _within(tuple(" ".join(name.split())[:300] for name in ending.files), 400)
        made.append(_small(f"Files (llmasos jobs show {ending.job_id}):\n{names}"))
    if ending.agent:
        made.append(_small(f"Answered by {ending.agent}"))
    if ending.job_id:
        made += _controls(ending)
    return [block.to_dict() for block in made]


def _within(lines: tuple[str, ...], limit: int) -> str:
    """As many lines as fit; the last one says how many do not."""
    kept: list[str] = []
    for number, line in enumerate(lines):
        if sum(map(len, kept)) + len(kept) + len(line) > limit:
            kept.append(f"… and {len(lines) - number} more")
            break
        kept.append(line)
    return "\n".join(kept)


def _small(text: str) -> ContextBlock:
    return ContextBlock(elements=[PlainTextObject(text=text[:1900], emoji=False)])


def _inert(text: str) -> str:
    """Words in Slack's markup in which nothing is bold, code or an emoji."""
    return _MARKUP.sub("\u2060", escaped(text))


def _controls(ending: Ending) -> list[Block]:
    buttons = [_button("Try again", AGAIN_ACTION, ending.job_id)]
    if ending.person:
        buttons.append(_button("Ask a person", PERSON_ACTION, ending.job_id))
    buttons += [
        _button(f"Ask {agent}"[:75], f"{ASK_AGENT}:{agent}", ending.job_id)
        for agent in ending.alternatives[:MOST_ALTERNATIVES]
    ]
    opinion = [_feedback(ending.job_id)] if ending.opinion else []
    return [*opinion, ActionsBlock(elements=buttons)]


def _decision(job_id: str) -> ActionsBlock:
    approve = _button("Approve", APPROVE_ACTION, job_id)
    approve.style = "primary"
    return ActionsBlock(elements=[approve, _button("Decline", DECLINE_ACTION, job_id)])


def _button(words: str, action: str, job_id: str) -> ButtonElement:
    return ButtonElement(text=PlainTextObject(text=words), action_id=action, value=job_id)


def _feedback(job_id: str) -> ContextActionsBlock:
    good = FeedbackButtonObject(text="Good answer", value=f"good:{job_id}")
    bad = FeedbackButtonObject(text="Bad answer", value=f"bad:{job_id}")
    return ContextActionsBlock(
        elements=[
            FeedbackButtonsElement(
                action_id=FEEDBACK_ACTION, positive_button=good, negative_button=bad
            )
        ]
    )
