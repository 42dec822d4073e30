"""Asking a person: a conversation goes to a channel or a group, and the bot falls silent in it.

Used by workers, when an agent's reply asks for a person, and by the edge, when somebody presses the
button. People are told before the thread is; `llmasos.handoffs` remembers, and where nobody knows
whether they were told, the place is read first. Start reading at `Handover.hand_over`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from integrations.slack.address import Address
from integrations.slack.blocks import mark_of, metadata
from integrations.slack.calls import Calls, Refused, SlackError, Unsure
from integrations.slack.harmless import harmless
from integrations.slack.markdown import escaped
from llmasos.handoffs import Handoffs, Try

log = structlog.get_logger()

SHOWN = 700
"""Characters of the question and of the answer that people are shown."""
PEOPLE_PART, THREAD_PART = 2_000, 2_001
"""What the notices' metadata give as their part, so that no answer is mistaken for one."""
CLOCKS = 60.0
"""Seconds that Slack's clock may be behind ours."""
PAGE = 200
"""Messages of a place that are read when a notice of ours is looked for."""


@dataclass(frozen=True)
class Case:
    """What a person is asked to take over."""

    job_id: str
    conversation: str
    address: Address
    question: str
    answer: str
    reason: str
    by: str
    """The principal who wants it."""
    summary: str = ""
    """What was said before the question."""
    alone: bool = False
    """Whether nobody else acts for this job and principal at the moment."""


class Handover:
    """Hands conversations over.

    calls_in: the bot's calls in a workspace. to_in: who is asked there: a channel (`C…`), or a
    user group (`S…`), which is called into the thread; None: nobody. settle_seconds: after how long
    a notice that was not confirmed, and is not seen, does not exist.
    """

    def __init__(
        self,
        calls_in: Callable[[str | None], Calls],
        to_in: Callable[[str | None], str | None],
        handoffs: Handoffs,
        settle_seconds: float = 30.0,
    ) -> None:
        self._calls_in, self._to_in, self._handoffs = calls_in, to_in, handoffs
        self._settle_seconds = settle_seconds

    def to(self, workspace: str | None) -> str | None:
        """Who is asked in a workspace."""
        return self._to_in(workspace)

    def hand_over(self, case: Case) -> None:
        """Tell people, then the thread, unless they know already.

        Raises Refused when Slack does not let us tell them: the bot stays in charge then; and
        Limited, Unreached or Unsure: call it again.
        """
        to = self._to_in(case.address.workspace)
        calls = self._calls_in(case.address.workspace)
        if to is None:
            raise Refused("nobody_to_ask")
        telling = self._handoffs.begin(case.conversation, case.job_id, case.by, alone=case.alone)
        if telling is None:
            return
        doubt = telling.earlier
        try:
            if doubt is None or not self._told_by(calls, _place(to, case), doubt):
                summary = _summary(calls, to, case)
                doubt = telling.own
                _tell_people(calls, to, case, summary)
        except Refused:
            self._handoffs.end(case.conversation)
            raise
        except SlackError as error:
            surely_not = doubt is telling.own and not isinstance(error, Unsure)
            self._handoffs.untold(case.conversation, None if surely_not else doubt)
            raise
        self._handoffs.told(case.conversation)
        log.info("slack.handed_over", job=case.job_id, to=to)
        try:
            _tell_thread(calls, to, case)
        except SlackError as error:  # a courtesy: the people know
            log.warning("slack.notice_lost", job=case.job_id, error=type(error).__name__)

    def _told_by(self, calls: Calls, place: dict[str, Any], earlier: Try) -> bool:
        """Whether an earlier try told people. Raises Unsure when that may still show."""
        client = calls.client
        method = client.conversations_replies if "ts" in place else client.conversations_history
        since = f"{earlier.begun_at - CLOCKS:.6f}"
        try:
            page = calls(method, **place, oldest=since, include_all_metadata=True, limit=PAGE)
        except Refused as refused:  # better twice than never
            log.warning("slack.notice_not_looked_for", code=refused.code)
            return False
        mine = {"job": earlier.job_id, "part": PEOPLE_PART}
        for message in page.get("messages", []):
            if mine.items() <= (mark_of(message) or {}).items():
                return True
        wait = earlier.begun_at + self._settle_seconds - time.time()
        if wait > 0:
            raise Unsure("whether people were told is not known yet", wait)
        return False


def _place(to: str, case: Case) -> dict[str, Any]:
    """The channel, and the thread in it, where people are told."""
    if not to.startswith("S"):
        return {"channel": to}
    thread = case.address.thread_ts
    return {"channel": case.address.channel, **({"ts": thread} if thread else {})}


def _tell_people(calls: Calls, to: str, case: Case, words: str) -> None:
    if to.startswith("S") and case.address.dm:
        raise Refused("handoff_to_group_in_dm")
    place = _place(to, case)
    _post(calls, case, PEOPLE_PART, place["channel"], place.get("ts"), words)


def _tell_thread(calls: Calls, to: str, case: Case) -> None:
    who = "A person was asked" if to.startswith("S") else f"I asked a person in <#{to}>"
    words = f"✋ {who} to take over. I stay quiet in this thread until somebody mentions me."
    _post(calls, case, THREAD_PART, case.address.channel, case.address.thread_ts, words)


def _post(
    calls: Calls, case: Case, part: int, channel: str, thread: str | None, words: str
) -> None:
    calls(
        calls.client.chat_postMessage,
        who=case.job_id,
        channel=channel,
        thread_ts=thread,
        text=words,
        metadata=metadata(case.job_id, part, final=True),
        unfurl_links=False,
        unfurl_media=False,
    )


def _summary(calls: Calls, to: str, case: Case) -> str:
    """The conversation in a few lines; only the mentions and the link are ours."""
    asker = f"<@{case.address.user}>" if case.address.user else "Somebody"
    call = f"<!subteam^{to}> " if to.startswith("S") else ""
    lines = [f"✋ {call}{asker} needs a person. {_quoted(case.reason, 200)}".rstrip()]
    lines.append(f"*Question*\n>{_quoted(case.question, SHOWN)}")
    if case.answer:
        lines.append(f"*What I said*\n>{_quoted(case.answer, SHOWN)}")
    if case.summary:
        told = "\n".join(f">{_quoted(each, SHOWN)}" for each in case.summary.splitlines())
        lines.append(f"*Before that*\n{told}")
    if case.address.dm:
        lines.append("It is a direct message with me: please write to them.")
    elif not call and (link := _link(calls, case.address)):
        lines.append(f"<{link}|Open the thread>")
    return "\n".join(lines)


def _link(calls: Calls, address: Address) -> str:
    """The thread's own link; empty when Slack gives none."""
    if not address.thread_ts:
        return ""
    permalink = calls.client.chat_getPermalink
    try:
        told = calls(permalink, channel=address.channel, message_ts=address.thread_ts)
    except Refused as refused:
        log.info("slack.no_permalink", code=refused.code)
        return ""
    return escaped(str(told.get("permalink") or ""))


def _quoted(text: str, limit: int) -> str:
    """Somebody's words on one line, without meaning in Slack's markup."""
    words = " ".join(harmless(text).split())
    return escaped(words if len(words) <= limit else f"{words[:limit]} …")
