"""OpenAI's form of a chat: its request as ours, our answers as its.

Pure; `chat.py` has the routes. A stream in this form takes nothing back, so `Said` sees to it that
only one text is shown, also when a job begins anew. Start reading at `Chat`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from llmasos.conversations import HISTORY_LIMIT
from llmasos.errors import InvalidRequest
from llmasos.events import Citation, Reply
from llmasos.generation import Message, Usage
from llmasos.jobs import Job

SOURCES = re.compile(r"\n\n(\[[0-9]+\] [^\n]* \([^\n]*\)\n?)+\Z")
"""How an answer ends that had sources: chat programs send it back as a part of the history."""


class Part(BaseModel):
    """A part of a message."""

    type: str
    text: str | None = None


class ChatMessage(BaseModel):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    def said(self) -> str:
        """Its text. Raises InvalidRequest for parts that are none."""
        if not isinstance(self.content, list):
            return self.content or ""
        for part in self.content:
            if part.type != "text":
                raise InvalidRequest(f"A message holds '{part.type[:40]}'; agents read text alone.")
        return "\n".join(part.text or "" for part in self.content)


class StreamOptions(BaseModel):
    """How an answer is streamed."""

    include_usage: bool = False


class Chat(BaseModel):
    """A chat as OpenAI's clients send it. An agent has its own instructions, tools and sampling:
    what a request says of these is not used.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    model: str
    """An agent's name, or `auto`."""
    messages: list[ChatMessage] = Field(min_length=1)
    """The conversation; the agent answers the last message, which is the user's."""
    stream: bool | None = None
    """Whether the answer comes piece by piece."""
    stream_options: StreamOptions | None = None
    """`include_usage`: a last piece says how many tokens it took."""
    user: str | None = Field(default=None, max_length=200)
    """On whose behalf, of callers that may act as others: a principal's id."""
    n: Literal[1] | None = None
    """Number of answers: one."""

    def conversation(self) -> tuple[tuple[Message, ...], str]:
        """What was said before, and the message to answer. Raises InvalidRequest."""
        turns: list[Message] = []
        for each in self.messages:
            if each.role not in ("user", "assistant"):
                continue
            role: Literal["user", "assistant"] = "user" if each.role == "user" else "assistant"
            said = each.said() if role == "user" else SOURCES.sub("", each.said())
            if turns and turns[-1].role == role:
                said = f"{turns.pop().content}\n\n{said}"
            turns.append(Message(role=role, content=said))
        if not turns or turns[-1].role != "user":
            raise InvalidRequest("The last message must be the user's: it is what is answered.")
        return tuple(turns[:-1][-HISTORY_LIMIT:]), turns[-1].content


class Said:
    """What of an answer was sent: text that cannot be taken back."""

    def __init__(self) -> None:
        self._sent = self._now = ""

    def more(self, piece: str) -> str:
        """What may be sent, now that another piece has come."""
        self._now += piece
        now = self._now.lstrip()
        return self._send(now) if now.startswith(self._sent) else ""

    def restart(self) -> None:
        """The answer begins anew: only what goes beyond what was sent is sent from here on."""
        self._now = ""

    def rest(self, whole: str) -> str | None:
        """What is left of the answer that counts; None when another one was sent."""
        whole, sent = whole.strip(), self._sent.rstrip()
        if whole.startswith(self._sent):
            return self._send(whole)
        if whole.startswith(sent):
            return whole[len(sent) :]
        return "" if sent.startswith(whole) else None

    def _send(self, text: str) -> str:
        new = text[len(self._sent) :]
        self._sent = text
        return new


class Chunks:
    """The pieces of one answer, as a stream writes them."""

    def __init__(self, job: Job, model: str, *, with_usage: bool) -> None:
        self._with_usage = with_usage
        self._frame = {
            "id": f"chatcmpl-{job.id}",
            "object": "chat.completion.chunk",
            "created": int(job.created_at),
            "model": model,
        }

    def piece(self, delta: dict[str, Any], finish_reason: str | None = None) -> str:
        """A piece of the message."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": None} if self._with_usage else {}
        return _line({**self._frame, "choices": [choice], **usage})

    def end(self, job: Job, reply: Reply) -> Iterator[str]:
        """The last pieces: why it ended, what it took, and that it is over."""
        yield self.piece({"citations": cited(reply)}, finish_reason(reply))
        if self._with_usage:
            yield _line({**self._frame, "choices": [], "usage": usage_of(job.usage)})
        yield "data: [DONE]\n\n"


def completion(job: Job, reply: Reply) -> dict[str, Any]:
    """A finished job as one answer."""
    message = {
        "role": "assistant",
        "content": reply.text.strip() + sources(reply.citations),
        "refusal": None,
        "citations": cited(reply),
    }
    reason = finish_reason(reply)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return {
        "id": f"chatcmpl-{job.id}",
        "object": "chat.completion",
        "created": int(job.created_at),
        "model": job.agent,
        "choices": [choice],
        "usage": usage_of(job.usage),
    }


def sources(citations: Sequence[Citation]) -> str:
    """The sources as the end of a text, for readers who see nothing but text."""
    lines = [f"[{at}] {each.title} ({each.source})" for at, each in enumerate(citations, 1)]
    return "\n\n" + "\n".join(lines) if lines else ""


def cited(reply: Reply) -> list[dict[str, Any]]:
    """The sources for programs, as a job's JSON has them."""
    found: list[dict[str, Any]] = reply.as_json()["citations"]
    return found


def finish_reason(reply: Reply) -> str:
    """Why the text ended: it was done, or a guard refused it."""
    return "content_filter" if reply.blocked else "stop"


def usage_of(usage: Usage) -> dict[str, int]:
    """The tokens that an answer took."""
    prompt, completed = usage.prompt_tokens, usage.completion_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completed,
        "total_tokens": prompt + completed,
    }


def error_line(error: dict[str, Any]) -> str:
    """An error in the middle of a stream."""
    return _line({"error": error})


def _line(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"
