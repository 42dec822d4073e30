"""People as Slack knows them: which user groups a member is in.

Asked of Slack in one call and kept for some minutes, so that no message waits for it but the very
first. Start reading at `People.groups`.
"""

import time
from collections.abc import Mapping
from typing import Any

import structlog
from slack_sdk.errors import SlackApiError

from integrations.slack.edge_calls import EdgeCalls, Turn
from integrations.slack.errands import Errands, reason_of
from integrations.slack.shared import Shared

log = structlog.get_logger()

FRESH = 300.0
"""Seconds for which what Slack said of the groups is taken as it is."""

Groups = Mapping[str, tuple[str, ...]]
"""The ids of the user groups that each member is in."""


class People:
    """Keeps the user groups of one workspace.

    needed: whether an agent is open to a group only; then a first answer is waited for.
    """

    def __init__(self, errands: Errands, *, needed: bool) -> None:
        self._errands, self._needed = errands, needed
        self._groups: Groups | None = None
        self._asked_at = 0.0
        self._first: Shared[None] | None = None

    async def groups(self, calls: EdgeCalls) -> Groups:
        """Who is in which groups.

        Raises what the SDK raises when Slack has never said it and an agent depends on it.
        """
        if self._groups is None and self._needed:
            self._first = self._first or Shared(lambda: self._ask(calls))
            await self._first.get()
        elif time.monotonic() - self._asked_at > FRESH or not self._asked_at:
            self._asked_at = time.monotonic()
            self._errands.run("groups", self._ask(calls))
        return self._groups or {}

    async def _ask(self, calls: EdgeCalls) -> None:
        try:
            told = await calls(calls.client.usergroups_list, turn=Turn.NOW, include_users=True)
        except SlackApiError as error:
            if error.response.get("error") not in ("missing_scope", "paid_teams_only"):
                raise
            log.warning("slack.groups_unknown", reason=reason_of(error))
            self._keep({})
        else:
            self._keep(_by_member(told.get("usergroups")))

    def _keep(self, groups: Groups) -> None:
        self._groups, self._asked_at = groups, time.monotonic()


def _by_member(groups: Any) -> Groups:
    found: dict[str, tuple[str, ...]] = {}
    for group in groups if isinstance(groups, list) else []:
        for user in group.get("users") or []:
            found[str(user)] = (*found.get(str(user), ()), str(group.get("id")))
    return found
