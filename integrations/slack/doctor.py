"""The doctor: whether Slack's side of the bot is as it must be, and what to do where it is not.

Looks at the tokens, the permissions, the way in, what the settings name, and, where a channel is
given, makes one round trip. Changes nothing but that one message. Start reading at `examine`.
"""

import asyncio
import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import aiohttp
import httpx
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.signature import SignatureVerifier

from integrations.slack.address import CHANNEL
from integrations.slack.blocks import metadata
from integrations.slack.calls import APP_REMEDY, Calls, Refused, SlackError, in_words, sync_client
from integrations.slack.http import PATH
from integrations.slack.install import INSTALL
from integrations.slack.installations import Installations
from integrations.slack.manifest import SCOPES
from llmasos.request import AUTO
from llmasos.settings import Settings, SlackSettings
from llmasos.system import addresses

PATIENCE = 10.0
"""Seconds to wait for the connection's first word, or for our own web server."""
NO_TOKEN = "is not set: `llmasos slack manifest` makes the app, its token goes into"


@dataclass(frozen=True)
class Finding:
    """What was found. problem: None when it is well, else what is wrong and how to mend it."""

    check: str
    problem: str | None
    detail: str = ""


class Sick(Exception):
    """Something is not as it must be; the argument says what, and how to mend it."""


def examine(
    settings: Settings,
    agents: Collection[str],
    channel: str | None,
    installations: Installations | None = None,
) -> Iterator[Finding]:
    """Look at everything, what others stand on first.

    agents: names of those there are. channel: where a round trip is made; None: nowhere.
    installations: the workspaces that have added the app; None: it has a bot token.
    """
    slack = settings.slack
    if not slack.on:
        yield Finding("bot token", f"slack.bot_token {NO_TOKEN} LLMASOS_SLACK__BOT_TOKEN")
        return
    bots: list[Calls] = []
    if slack.bot_token is not None:
        yield from _bot("", slack.bot_token.get_secret_value(), slack, bots)
    if installations is not None:
        yield from _added(settings, installations, bots)
    if not bots:
        return
    if slack.app_token is not None:
        yield _look("socket", lambda: _socket(slack))
    else:
        yield _look("events", lambda: _events(settings))
    yield _look("settings", lambda: _settings(slack, agents))
    for bound in slack.channels:
        yield _look(f"channel {bound}", partial(_member, bots, bound))
    if channel is not None:
        yield _look("round trip", lambda: _round_trip(bots, channel))
    else:
        yield Finding("round trip", None, "not tried: name a channel with --channel ID")


def _bot(where: str, token: str, slack: SlackSettings, bots: list[Calls]) -> Iterator[Finding]:
    """Look at one bot's token and what it may do; what works is added to `bots`."""
    calls = Calls(sync_client(token, slack.api_url))
    try:
        who = calls.identity()
    except SlackError as error:
        yield Finding(f"bot token{where}", _words(error))
        return
    bots.append(calls)
    yield Finding(f"bot token{where}", None, f"the bot is {who.user} in {who.team}")
    yield _look(f"permissions{where}", lambda: _scopes(calls))


def _added(
    settings: Settings, installations: Installations, bots: list[Calls]
) -> Iterator[Finding]:
    """Look at the way to add the app, and at every workspace that has."""
    yield _look("app secret", lambda: _secret(settings.slack))
    yield _look("install", lambda: _install(settings))
    for each in installations.all():
        if each.token is None:
            problem = in_words(Refused("sealed_otherwise"))
            yield Finding(f"bot token {each.workspace}", problem)
        else:
            yield from _bot(f" {each.workspace}", each.token, settings.slack, bots)
    if not bots:
        yield Finding("workspaces", f"none has added the app: open {INSTALL} on your public host")


def _secret(slack: SlackSettings) -> str:
    """Try the client secret with a code that there cannot be."""
    secret = slack.client_secret.get_secret_value() if slack.client_secret else ""
    client = WebClient(base_url=slack.api_url, retry_handlers=[])
    try:
        client.oauth_v2_access(client_id=str(slack.client_id), client_secret=secret, code="doctor")
    except SlackApiError as error:
        code = str(error.response.get("error"))
        if code == "invalid_code":
            return "Slack takes the client id and its secret"
        raise Sick(
            f"Slack says {code}: check slack.client_id and slack.client_secret (Basic Information)"
        ) from error
    except (OSError, SlackClientError) as error:
        raise Sick(f"Slack does not answer: {type(error).__name__}") from error
    raise Sick("Slack took a code that it never gave")


def _install(settings: Settings) -> str:
    """Whether our own web server sends browsers to Slack."""
    if not settings.slack.workspaces:
        raise Sick("no workspace may add the app: name each in [slack.workspaces.ID]")
    url = _web(settings) + INSTALL
    answer = _asked(lambda: httpx.get(url, timeout=PATIENCE, trust_env=False), url)
    there = answer.headers.get("location", "")
    if answer.status_code != 302 or str(settings.slack.client_id) not in there:
        raise Sick(f"{url} answered {answer.status_code}: restart the web server")
    return f"{url} leads to Slack; browsers must reach it through your proxy"


def _look(check: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(check, None, look())
    except Sick as sick:
        return Finding(check, str(sick))
    except SlackError as error:
        return Finding(check, _words(error))


def _words(error: SlackError) -> str:
    return in_words(error) if isinstance(error, Refused) else f"Slack does not answer: {error}"


def _scopes(calls: Calls) -> str:
    """Compare what the app may do with what the code needs."""
    try:
        headers = calls.client.auth_test().headers
    except (SlackApiError, OSError) as error:
        raise Sick(f"Slack does not say which permissions the app has: {error}") from error
    told = {str(name).lower(): value for name, value in dict(headers).items()}
    given = {scope.strip() for scope in str(told.get("x-oauth-scopes") or "").split(",")}
    missing = [scope for scope in SCOPES if scope not in given]
    if missing:
        lacks = ", ".join(f"{scope} ({SCOPES[scope]})" for scope in missing)
        raise Sick(
            f"the app lacks {lacks}: add them under OAuth & Permissions, or take the app's "
            "manifest anew (`llmasos slack manifest`), then reinstall it to the workspace"
        )
    return f"all {len(SCOPES)} are there"


def _socket(slack: SlackSettings) -> str:
    """Open a connection, and see whether the bot has one beside it."""
    token = slack.app_token.get_secret_value() if slack.app_token else ""
    calls = Calls(sync_client(token, slack.api_url))
    try:
        url = str(calls(calls.client.apps_connections_open, app_token=token)["url"])
    except Refused as error:
        raise Sick(f"Slack says {error.code}: {APP_REMEDY}") from error
    try:
        hello = asyncio.run(_hello(url))
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise Sick(
            f"the connection to Slack's socket fails ({type(error).__name__}): let this machine "
            "reach wss://*.slack.com, through HTTPS_PROXY where there is one"
        ) from error
    number = hello.get("num_connections")
    others = number - 1 if isinstance(number, int) else 0
    if others < 1:
        raise Sick("the bot is not connected: start it with `llmasos up` or `llmasos slack run`")
    return f"{others} connected"


async def _hello(url: str) -> dict[str, object]:
    """The first word of a connection."""
    patience = aiohttp.ClientTimeout(total=PATIENCE)
    async with (
        aiohttp.ClientSession(timeout=patience, trust_env=True) as session,
        session.ws_connect(url) as socket,
    ):
        said = await socket.receive_json(timeout=PATIENCE)
        return said if isinstance(said, dict) else {}


def _events(settings: Settings) -> str:
    """Send our own web server what Slack sends to check an address, signed as Slack signs it."""
    if settings.slack.signing_secret is None:
        raise Sick(
            "no events come in: set LLMASOS_SLACK__APP_TOKEN (Socket Mode), or "
            "LLMASOS_SLACK__SIGNING_SECRET to take them over HTTP"
        )
    url = _web(settings) + PATH
    body = json.dumps({"type": "url_verification", "challenge": "doctor", "token": "-"})
    stamp = str(int(time.time()))
    verifier = SignatureVerifier(settings.slack.signing_secret.get_secret_value())
    headers = {
        "Content-Type": "application/json",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": verifier.generate_signature(timestamp=stamp, body=body) or "",
    }
    answer = _asked(
        lambda: httpx.post(url, content=body, headers=headers, timeout=PATIENCE, trust_env=False),
        url,
    )
    if answer.status_code != 200 or "doctor" not in answer.text:
        raise Sick(
            f"{url} answered {answer.status_code}: restart the web server, so that it has the "
            "signing secret that is set now"
        )
    return f"{url} answers; Slack must reach it through your proxy"


def _web(settings: Settings) -> str:
    """The address of our own web server."""
    web = settings.web
    return addresses(settings).web_url or f"http://{web.host}:{web.port}"


def _asked(ask: Callable[[], httpx.Response], url: str) -> httpx.Response:
    try:
        return ask()
    except httpx.HTTPError as error:
        raise Sick(
            f"nothing answers at {url} ({type(error).__name__}): start `llmasos up` or "
            "`llmasos web`"
        ) from error


def _settings(slack: SlackSettings, agents: Collection[str]) -> str:
    """Whether the agents that the settings name are there."""
    named = {"slack.default_agent": slack.default_agent}
    for channel, own in slack.channels.items():
        if own.agent is not None:
            named[f"slack.channels.{channel}.agent"] = own.agent
    for workspace, its in slack.workspaces.items():
        if its.default_agent is not None:
            named[f"slack.workspaces.{workspace}.default_agent"] = its.default_agent
    for setting, agent in named.items():
        if agent != AUTO and agent not in agents:
            known = ", ".join(sorted(agents))
            raise Sick(f"{setting} names '{agent}', which is no agent here. Known: {known}")
    return f"{slack.default_agent} answers where no other agent is bound"


def _member(bots: Sequence[Calls], channel: str) -> str:
    """Whether the bot can write in a channel that the settings name, in whatever workspace."""
    refused: Refused | None = None
    for calls in bots:
        try:
            found = calls(calls.client.conversations_info, channel=channel).get("channel") or {}
        except Refused as error:
            refused = error
            continue
        if not (found.get("is_member") or found.get("is_im")):
            raise Sick("the bot is not in it: invite it there with /invite")
        return f"#{found.get('name') or channel}"
    raise refused or Refused("channel_not_found")


def _round_trip(bots: Sequence[Calls], place: str) -> str:
    """Post a message, read it, and delete it."""
    workspace, _, channel = place.rpartition("/")
    if not CHANNEL.fullmatch(channel):
        raise Sick(f"'{place}' is no channel's id; it stands at the bottom of its details")
    there = [each for each in bots if workspace in ("", each.identity().team)]
    if len(there) != 1:
        raise Refused("which_workspace" if there else "not_installed")
    [calls] = there
    began = time.monotonic()
    posted = calls(
        calls.client.chat_postMessage,
        channel=channel,
        text="A test of the connection; this message goes away at once.",
        metadata=metadata("", 0, final=True),
    )
    try:
        read = calls(calls.client.conversations_replies, channel=channel, ts=posted["ts"], limit=1)
        if not read.get("messages"):
            raise Sick("a message was posted but cannot be read again")
    finally:
        calls(calls.client.chat_delete, channel=channel, ts=posted["ts"])
    return f"posted, read and deleted in {time.monotonic() - began:.1f} s"
