"""Calls of Slack's Web API, and what came of them: done, refused, not now, or nobody knows.

The SDK's own retries are off: a call that creates a message and lost its answer must not be made
again before somebody has looked. Slack's limits are kept by all processes together (`limits.py`).
Start reading at `Calls.__call__`.
"""

import http.client
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.error import URLError

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from integrations.slack.limits import Limits, own_limits
from llmasos.errors import (
    ChannelBusy,
    ChannelError,
    ChannelRefused,
    ChannelUnavailable,
    LLMasOSError,
    SettingsError,
)
from llmasos.settings import SlackSettings

TIMEOUT = 15
"""Seconds to wait for an answer of Slack's."""
PATIENCE = 2.0
"""Seconds that a call which must be made waits here for its turn; longer waits are for others."""

LIMITS = ("ratelimited", "rate_limited", "message_limit_exceeded")
UNSURE = ("internal_error", "fatal_error", "request_timeout", "service_unavailable")
"""Errors after which Slack may have done what was asked."""

LATER = ("streaming_state_conflict", "external_channel_migrating", "team_added_to_org")
"""Refusals of the moment."""

REMEDIES = {
    "channel_not_found": "the bot does not see this channel: check its id, and invite the bot",
    "not_in_channel": "the bot is not in this channel: invite it there with /invite",
    "is_archived": "the channel is archived: unarchive it or name another",
    "thread_not_found": "the message to reply to is gone",
    "invalid_auth": "the bot token is wrong: check LLMASOS_SLACK__BOT_TOKEN",
    "not_authed": "the bot token is missing: set LLMASOS_SLACK__BOT_TOKEN",
    "token_revoked": "the bot token was revoked: reinstall the app and set the new one",
    "token_expired": "the bot token has expired: set LLMASOS_SLACK__BOT_TOKEN to a new one",
    "account_inactive": "the bot was removed from the workspace: reinstall the app",
    "missing_scope": "the app lacks a permission: add it (`llmasos slack manifest`) and reinstall",
    "not_allowed_token_type": "this is another kind of token: LLMASOS_SLACK__BOT_TOKEN begins with "
    "xoxb-, LLMASOS_SLACK__APP_TOKEN with xapp-",
    "not_installed": "the app is not in this workspace: add it at /slack/install",
    "which_workspace": "the app is not in exactly one workspace: name it, as in slack:T0123/C0123",
    "sealed_otherwise": "slack.client_secret has changed since the workspace added the app: add it "
    "again at /slack/install",
    "nobody_to_ask": "nobody is named to take over here: set slack.handoff",
    "handoff_to_group_in_dm": "nobody else sees a direct message: name a channel as slack.handoff",
    "restricted_action": "the workspace does not let the bot write here: ask an administrator",
}
APP_REMEDY = (
    "check LLMASOS_SLACK__APP_TOKEN (it begins with xapp-, has the scope connections:write, and "
    "Socket Mode is on in the app's settings)"
)


class SlackError(Exception):
    """A call did not go well."""

    retry_after = 0.0
    """Seconds after which it may be made again, if that is known."""


class Refused(SlackError):
    """Slack did not do it, and will not: `code` is its reason."""

    def __init__(self, code: str, needed: str = "") -> None:
        super().__init__(code, needed)
        self.code, self.needed = code, needed


class Limited(SlackError):
    """Slack did not do it now; it may be asked again after some seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class Unreached(SlackError):
    """The call did not get as far as Slack: nothing was done."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unsure(SlackError):
    """No clear answer came: it may have been done or not."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason, retry_after)
        self.reason, self.retry_after = reason, retry_after


@dataclass(frozen=True)
class Identity:
    """Who the bot is."""

    team: str
    user: str
    bot: str


class Calls:
    """One bot's calls. Safe to use from several threads.

    limits: how often they may be made; None: this process counts by itself.
    """

    def __init__(self, client: WebClient, limits: Limits | None = None) -> None:
        self.client = client
        self._limits = limits or own_limits()
        self._lock = threading.Lock()
        self._identity: Identity | None = None

    def __call__(
        self,
        method: Callable[..., SlackResponse],
        *,
        who: str = "",
        must: bool = True,
        taken: bool = False,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Make a call: a method of `client`, and its arguments.

        who: on whose behalf; must: otherwise it is not made unless Slack takes it now, and calls to
        spare; taken: it was reserved. Raises Refused, Limited, Unreached or Unsure.
        """
        name = method.__name__.replace("_", ".")
        if not taken:
            self._await_turn(name, arguments, who, must=must)
        try:
            answer = method(**arguments).data
        except SlackApiError as error:
            explanation = explained(error)
            if isinstance(explanation, Limited):
                self._limits.told(name, arguments, explanation.retry_after)
            raise explanation from error
        except (OSError, http.client.HTTPException, SlackClientError, ValueError) as error:
            raise _broken_off(error) from error
        return answer if isinstance(answer, dict) else {}

    def reserve(self, method: Callable[..., SlackResponse], who: str) -> None:
        """Take a call to spare without making it: it will be needed. Raises Limited."""
        self._await_turn(method.__name__.replace("_", "."), {}, who, must=False)

    def _await_turn(self, name: str, arguments: dict[str, Any], who: str, *, must: bool) -> None:
        """Wait until a call may be made. Raises Limited when that takes long."""
        while wait := self._limits.wait(name, arguments, who, must=must):
            if not must or wait > PATIENCE:
                raise Limited(wait)
            time.sleep(wait)

    def identity(self) -> Identity:
        """Who the bot is, asked once. Raises as a call does."""
        with self._lock:
            if self._identity is None:
                told = self(self.client.auth_test)
                self._identity = Identity(
                    told["team_id"], told["user_id"], told.get("bot_id") or "?"
                )
            return self._identity


def sync_client(token: str, api_url: str) -> WebClient:
    """The SDK's client for a bot, without retries of its own."""
    logger = logging.getLogger("slack_sdk.web")
    logger.setLevel(logging.CRITICAL)  # what goes wrong is logged by whoever made the call
    return WebClient(token, base_url=api_url, timeout=TIMEOUT, retry_handlers=[], logger=logger)


def _broken_off(error: Exception) -> SlackError:
    """What it means that no answer came."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, ConnectionRefusedError | socket.gaierror):
        return Unreached(f"Slack's API cannot be reached ({cause.strerror or cause})")
    return Unsure(f"Slack did not answer ({type(cause).__name__}: {cause})"[:200])


def explained(error: SlackApiError) -> SlackError:
    """What an answer with an error means."""
    answer: Any = error.response
    code = str(answer.get("error") or "unknown_error")
    status = int(answer.status_code)
    if status == 429 or code in LIMITS:
        return Limited(_seconds(answer.headers))
    if status >= 500 or code in UNSURE:
        return Unsure(f"Slack answered {status} {code}"[:200])
    return Refused(code[:200], str(answer.get("needed") or ""))


def _seconds(headers: Any) -> float:
    value = {str(name).lower(): value for name, value in dict(headers).items()}.get("retry-after")
    try:
        return max(0.0, float(value[0] if isinstance(value, list) else value or 30.0))
    except (TypeError, ValueError):
        return 30.0


def in_words(refused: Refused) -> str:
    """Slack's reason, and what to do about it."""
    remedy = REMEDIES.get(refused.code)
    needed = f" (scope {refused.needed})" if refused.needed else ""
    return f"Slack says {refused.code}{needed}" + (f": {remedy}" if remedy else "")


def as_channel_error(error: SlackError, address: str) -> ChannelError:
    """The error of the channel port for one of ours."""
    match error:
        case Refused(code=code) if code in LATER:
            return ChannelUnavailable(address, in_words(error), 5.0)
        case Refused():
            return ChannelRefused(address, in_words(error))
        case Limited(retry_after=seconds):
            until = datetime.fromtimestamp(time.time() + seconds, UTC).strftime("%H:%M:%S")
            return ChannelBusy(address, f"Slack asks to wait until {until} UTC", seconds)
        case Unreached() | Unsure():
            return ChannelUnavailable(address, error.reason, error.retry_after)
    raise TypeError(f"not an outcome of a call: {error!r}")


def as_token_error(error: SlackError, setting: str) -> LLMasOSError:
    """The error for a token that was tried. setting: `slack.bot_token` or `slack.app_token`."""
    if not isinstance(error, Refused) or error.code in LATER:
        return as_channel_error(error, "slack")
    of_bot = setting == "slack.bot_token"
    return SettingsError(
        setting, "", in_words(error) if of_bot else f"Slack says {error.code}: {APP_REMEDY}"
    )


def try_tokens(settings: SlackSettings) -> Identity | None:
    """Who the bot is, with every token that is set tried at Slack; None where workspaces add it.

    Raises SettingsError for a token that Slack does not take, or ChannelUnavailable.
    """
    token = settings.bot_token.get_secret_value() if settings.bot_token else ""
    calls = Calls(sync_client(token, settings.api_url))
    trying = "slack.bot_token"
    try:
        identity = calls.identity() if token else None
        if settings.app_token is not None:
            trying = "slack.app_token"
            token = settings.app_token.get_secret_value()
            calls(calls.client.apps_connections_open, app_token=token)
    except SlackError as error:
        raise as_token_error(error, trying) from error
    return identity
