"""How an answer looks in Slack: its text, its sources, who answered, and what one thinks of it.

A `Look` is all that one message shows at one moment. Everything that comes from a model or a
document is harmless here: Markdown has its mentions broken, all else is plain text.
"""

from dataclasses import dataclass
from typing import Any

from slack_sdk.models.blocks import (
    Block,
    ContextActionsBlock,
    ContextBlock,
    FeedbackButtonObject,
    FeedbackButtonsElement,
    MarkdownBlock,
    PlainTextObject,
)

from integrations.slack.markdown import escaped
from llmasos.events import Citation, Reply

EVENT_TYPE = "llmasos"
"""The `event_type` in the metadata of everything that we post."""
FEEDBACK_ACTION = "llmasos_feedback"
SOURCES_LIMIT = 1_200
"""Characters of sources; with 11,000 of text a message stays below Slack's limit for blocks."""
FALLBACK_LIMIT = 3_000
"""Characters of plain text beside the blocks: for notifications and screen readers."""


TEXT_LIMIT = 3_900
"""Characters of that text once it is escaped (`chat.update` takes 4,000)."""


@dataclass(frozen=True)
class Ending:
    """What stands below an answer."""

    sources: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    agent: str = ""
    job_id: str = ""
    """Whose answer the feedback buttons are about; empty: there are none."""


@dataclass(frozen=True)
class Look:
    """What one message shows."""

    text: str = ""
    """Markdown, harmless."""
    status: str = ""
    ending: Ending | None = None
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


def ending_of(reply: Reply, agent: str, job_id: str) -> Ending:
    """What stands below a reply."""
    return Ending(
        sources=tuple(source_line(number, c) for number, c in enumerate(reply.citations, 1)),
        files=tuple(artifact.name for artifact in reply.artifacts),
        agent=agent,
        job_id=job_id,
    )


def source_line(number: int, citation: Citation) -> str:
    """A source as `[1] Title (path)`."""
    title = " ".join(citation.title.split())[:120]
    path = " ".join(citation.source.split())[:200]
    return f"[{number}] {title} ({path})" if title and title != path else f"[{number}] {path}"


def below(ending: Ending | None) -> list[dict[str, Any]]:
    """The blocks below an answer."""
    if ending is None:
        return []
    made: list[Block] = []
    if ending.sources:
        made.append(_small("Sources\n" + _within(ending.sources, SOURCES_LIMIT)))
    if ending.files:
        names = _within(tuple(" ".join(name.split())[:120] for name in ending.files), 400)
        made.append(_small(f"Files (llmasos jobs show {ending.job_id}):\n{names}"))
    if ending.agent:
        made.append(_small(f"Answered by {ending.agent}"))
    if ending.job_id:
        made.append(_feedback(ending.job_id))
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
