"""A transcript: what an agent has yielded, what of it may be seen, and the reply it comes to.

Pure: no clock, no database, no channel.
"""

from collections.abc import Collection
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from llmasos.channels import Draft
from llmasos.errors import AgentBroke, EmptyReply
from llmasos.events import (
    Approval,
    Artifact,
    Citation,
    Delegate,
    Event,
    Reply,
    Status,
    Token,
    ToolCall,
)

SHOWN = (Status, Token, ToolCall, Citation, Artifact, Approval, Delegate, Reply)
"""What an agent may emit."""
PARTS = (Token, Citation, Artifact)
"""What of it is a part of the answer."""
Lasting = TypeVar("Lasting", Approval, Delegate, Reply)


class Transcript:
    """Takes an agent's emissions one by one.

    checked: whether the agent shows only what passed its checks. reviewed: whether nothing of the
    answer is shown before a person has read it. known: keys of what was asked and
    handed out before.
    """

    def __init__(
        self, agent: str, *, checked: bool, reviewed: bool = False, known: Collection[str] = ()
    ) -> None:
        self._agent, self._checked = agent, checked
        self._reviewed, self._known = reviewed, known
        self._status = ""
        self._text: list[str] = []
        self._withheld = False
        self._citations: list[Citation] = []
        self._artifacts: list[Artifact] = []
        self._reply: Reply | None = None

    @property
    def replied(self) -> bool:
        """Whether the final reply has come."""
        return self._reply is not None

    @property
    def draft(self) -> Draft:
        """What people should see at the moment."""
        return Draft(status=self._status, text="" if self._reviewed else "".join(self._text))

    def take(self, emitted: Any) -> Event | Delegate | None:
        """Take one emission; gives the event that may be seen, None when nobody may see it.

        Raises AgentBroke for what is no event.
        """
        event = Token(text=emitted) if isinstance(emitted, str) else emitted
        if not isinstance(event, SHOWN):
            kind = type(emitted).__name__
            raise AgentBroke(self._agent, f"it yielded {kind}, not an event or a text")
        match event:
            case Token() if self._checked and not event.checked:
                self._withheld = True
                return None
            case Token():
                self._text.append(event.text)
                self._status = ""
            case Status():
                self._status = event.text
            case Citation():
                self._citations.append(event)
            case Artifact():
                self._artifacts.append(event)
            case Approval() | Delegate():
                return self._waited_for(event)
            case Reply():
                self._reply = event
        return None if self._reviewed and isinstance(event, PARTS) else event

    def reply(self) -> Reply:
        """The reply: the agent's own, or one made of what it has shown.

        Raises EmptyReply when there is nothing in it, AgentBroke when it cannot be stored.
        """
        made = self._reply or Reply(
            text="".join(self._text),
            citations=tuple(self._citations),
            artifacts=tuple(self._artifacts),
        )
        if made.text.strip() or made.artifacts or made.handoff or made.blocked:
            return self._stored(made)
        reason = "none of its text had passed its checks" if self._withheld else "it ended silently"
        raise EmptyReply(self._agent, reason)

    def _waited_for(self, wait: Approval | Delegate) -> Approval | Delegate:
        """What the job waits for, as it will be read again. Nothing is waited for twice."""
        if wait.key in self._known:
            where = "decision" if isinstance(wait, Approval) else "children"
            words = f"it waited for '{wait.key}' again; `turn.{where}` has what came of it"
            raise AgentBroke(self._agent, words)
        if isinstance(wait, Delegate):
            return self._stored(wait)
        stored = self._stored(wait)
        try:
            if stored.about == "reply":
                Reply.model_validate(stored.payload.get("reply"))
        except ValidationError:
            words = "it asked about a reply that is none: use `Approval.of_reply`"
            raise AgentBroke(self._agent, words) from None
        return stored

    def _stored(self, made: Lasting) -> Lasting:
        """An event as it will be read again: JSON has no NaN, for one."""
        try:
            return made.model_validate_json(made.model_dump_json())
        except (PydanticSerializationError, ValidationError):
            words = f"its {made.kind} holds something that JSON cannot"
            raise AgentBroke(self._agent, words) from None
