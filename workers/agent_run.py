"""The run of an agent: its turn is begun, its steps are taken one by one, its reply comes out.

What is seen meanwhile goes to an audience. Start reading at `AgentRun.go`.
"""

import time
import traceback
from collections.abc import Callable
from typing import Protocol, TypeVar

import structlog

from llmasos import approvals, parts
from llmasos.channels import Draft
from llmasos.conversations import Conversations
from llmasos.errors import AgentBroke, LLMasOSError
from llmasos.events import Approval, Delegate, Event, Reply, Token
from llmasos.flow import run
from llmasos.generation import Usage
from llmasos.turn import Memory, Suspended
from workers.claims import Claim
from workers.journal import DatabaseJournal
from workers.keeper import Hold
from workers.means import Means
from workers.retries import WORTH_ANOTHER_TRY
from workers.transcript import Transcript

log = structlog.get_logger()

REPLY_KEY = Approval.of_reply(Reply(text=""), ()).key
"""The key under which a finished answer is decided on."""

T = TypeVar("T")
PASSED_ON: tuple[type[Exception], ...] = (LLMasOSError, *WORTH_ANOTHER_TRY)
"""Errors of an agent's code that say enough as they are."""
END = object()


class Audience(Protocol):
    """Who sees an agent at work."""

    def chosen(self, agent: str) -> None:
        """It is known which agent answers."""
        ...

    def show(self, event: Event, draft: Draft) -> None:
        """Something happened. draft: how the answer looks by now."""
        ...


class AgentRun:
    """One run of the agent of a claimed job, on the caller's thread.

    hold: says when it must stop; usage: where tokens are counted.
    """

    def __init__(
        self, means: Means, claim: Claim, hold: Hold, usage: Usage, audience: Audience
    ) -> None:
        self._means, self._claim, self._hold = means, claim, hold
        self._usage, self._audience = usage, audience
        self._began = time.monotonic()
        self._log = log.bind(job=claim.job.id, attempt=claim.attempt)

    def go(self) -> Reply:
        """Run the agent; gives its reply.

        Raises Suspended when it waits for a person or for its parts, and what the agent raises.
        """
        job, means = self._claim.job, self._means
        memory = self._recall()
        draft = memory.decisions.get(REPLY_KEY)
        if draft is not None and draft.granted:
            return Reply.model_validate(draft.payload["reply"])
        journal = DatabaseJournal(means.database, job.id, self._claim.attempt)
        turn = means.turns.begin(job, memory, journal, self._hold.checkpoint, self._usage)
        agent = turn.agent
        if "seconds" in agent.limits.model_fields_set:  # an agent of long work says so
            self._hold.allow(agent.limits.seconds)
        self._audience.chosen(agent.name)
        transcript = Transcript(
            agent.name,
            checked=bool(agent.checked),
            reviewed=bool(agent.reviewers),
            known={*memory.decisions, *memory.delegated},
        )
        flow = self._guarded(agent.name, lambda: run(turn))
        try:
            while not transcript.replied:
                emitted = self._guarded(agent.name, lambda: next(flow, END))
                if emitted is END:
                    break
                self._hold.checkpoint()
                self._emit(transcript, emitted)
        finally:
            close = getattr(flow, "close", None)
            if close is not None:
                self._guarded(agent.name, close)
        self._hold.checkpoint()
        reply = transcript.reply()
        if agent.reviewers:
            places = tuple(agent.review_in)
            raise Suspended(Approval.of_reply(reply, tuple(agent.reviewers), places))
        return reply

    def _recall(self) -> Memory:
        """What was said before in the conversation, and what came of earlier runs' waiting."""
        job, database = self._claim.job, self._means.database
        kept = Conversations(database).history(job.request.conversation, job.id)
        history = job.request.history or kept
        if job.attempts == 1:
            return Memory(history)
        with database.reading() as connection:
            decided = approvals.decisions(connection, job.id)
            return Memory(history, decided, parts.children(connection, job.id))

    def _guarded(self, agent: str, step: Callable[[], T]) -> T:
        """Run a step of an agent's code; an error that is none of ours is said to be its own."""
        try:
            return step()
        except PASSED_ON:
            raise
        except (Exception, SystemExit) as error:
            frames = traceback.extract_tb(error.__traceback__)
            where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
            # The error's own text may hold a message: it goes to DEBUG only.
            self._log.error("agent.broke", agent=agent, kind=type(error).__name__, where=where)
            self._log.debug("agent.broke", exc_info=error)
            raise AgentBroke(agent, type(error).__name__) from error

    def _emit(self, transcript: Transcript, emitted: object) -> None:
        """Show what may be seen of an emission."""
        if self._usage.first_token_ms is None and isinstance(emitted, (str, Token)):
            self._usage.first_token_ms = round((time.monotonic() - self._began) * 1000, 1)
        event = transcript.take(emitted)
        if isinstance(event, (Approval, Delegate)):
            raise Suspended(event)
        if event is None or isinstance(event, Reply):
            return
        self._audience.show(event, transcript.draft)
