"""Which requests are taken: what is checked before a request becomes a job.

Used by `jobs/store.py` only. Every refusal changes nothing and says what would be taken.
"""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass

from pydantic_core import PydanticSerializationError

from llmasos.errors import InvalidRequest, NotAllowed, UnknownAgent
from llmasos.request import AUTO, Principal, Request
from llmasos.settings import JobSettings

LONGEST_NAME = 300
"""Characters of a conversation's name or an idempotency key."""
LONGEST_ADDRESS = 2000
MOST_ADDRESSES = 10
LONGEST_ATTACHMENT = 1_000_000
"""Characters of one attachment's text."""


@dataclass(frozen=True)
class Acceptance:
    """The rules. See `Jobs` for the fields."""

    limits: JobSettings
    agents: tuple[str, ...]
    schemes: frozenset[str]
    may_use: Callable[[str, Principal], bool]

    def check(self, request: Request) -> Request:
        """The request as it will be stored.

        Raises UnknownAgent, NotAllowed or InvalidRequest.
        """
        # PostgreSQL stores no NUL, and no reader misses one.
        request = request.model_copy(update={"text": request.text.replace("\0", "")})
        self._check_agent(request)
        self._check_text(request)
        self._check_names(request)
        for address in request.reply_to:
            self._check_address(address)
        return request

    def _check_agent(self, request: Request) -> None:
        if request.agent != AUTO and request.agent not in self.agents:
            raise UnknownAgent(request.agent, self.agents)
        who = request.principal
        if not who.member:
            raise NotAllowed(
                who.name or who.id,
                "use agents",
                "They are for members of this workspace. People of another organisation may use "
                "them once `slack.partners` names their workspace.",
            )
        if not self.may_use(request.agent, who):
            named = "NAME" if request.agent == AUTO else request.agent
            which = "any agent" if request.agent == AUTO else f"the agent '{request.agent}'"
            raise NotAllowed(
                who.name or who.id,
                f"use {which}",
                f"Who may is said by `users` in [agents.{named}].",
            )

    def _check_text(self, request: Request) -> None:
        limits = self.limits
        if not request.text.strip() and not request.attachments:
            raise InvalidRequest("The message is empty. Write what you want to know.")
        if len(request.text) > limits.max_text:
            raise InvalidRequest(
                f"The message has {len(request.text)} characters, at most {limits.max_text} are "
                "taken. Shorten it or attach the long part as a file."
            )
        if request.history and request.conversation is not None:
            raise InvalidRequest(
                "Name a conversation that is kept here, or bring its history: not both."
            )
        if len(request.attachments) > limits.max_attachments:
            raise InvalidRequest(
                f"There are {len(request.attachments)} attachments, at most "
                f"{limits.max_attachments} are taken."
            )
        for each in request.attachments:
            if len(each.text) > LONGEST_ATTACHMENT:
                raise InvalidRequest(
                    f"The attachment '{each.name}' has {len(each.text)} characters, at most "
                    f"{LONGEST_ATTACHMENT} are taken. Split it."
                )

    def _check_names(self, request: Request) -> None:
        for word, value in (
            ("conversation", request.conversation),
            ("idempotency key", request.idempotency_key),
        ):
            if value is not None and not (value.isprintable() and 0 < len(value) <= LONGEST_NAME):
                raise InvalidRequest(
                    f"The {word} must be 1 to {LONGEST_NAME} printable characters."
                )
        if request.order is not None and not math.isfinite(request.order):
            raise InvalidRequest("The order must be a finite number of seconds.")
        try:
            request.model_dump_json()
        except PydanticSerializationError as error:
            raise InvalidRequest(f"The request cannot be written as JSON: {error}") from error

    def _check_address(self, address: str) -> None:
        scheme, _, place = address.partition(":")
        if not place or len(address) > LONGEST_ADDRESS or not address.isprintable():
            raise InvalidRequest(
                f"reply_to takes addresses as SCHEME:PLACE of at most {LONGEST_ADDRESS} "
                f"characters, not {address[:80]!r}."
            )
        if scheme not in self.schemes:
            known = ", ".join(sorted(self.schemes)) or "none is set up"
            raise InvalidRequest(f"No channel brings answers to '{scheme}:…'. Known: {known}.")


def fingerprint(request: Request) -> str:
    """A digest of what a repeated request must agree with: what is asked, by whom, answered where.

    A source that wants more of its own form to agree puts a digest of it in `metadata["digest"]`.
    """
    content = [
        request.agent,
        request.text,
        [attachment.model_dump() for attachment in request.attachments],
        request.principal.id,
        request.conversation,
        [message.model_dump() for message in request.history],
        list(request.reply_to),
        str(request.metadata.get("digest", "")),
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()
