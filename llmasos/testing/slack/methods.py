"""Slack's Web API as far as we use it, with the rules that Slack holds callers to.

Each method is a function of the workspace and the call's arguments; it gives the answer's fields
or raises `Refusal`. `METHODS` names them, each with the scope that it needs.
"""

import time
from collections.abc import Callable
from typing import Any

from llmasos.testing.slack import people, sessions, uploads, views
from llmasos.testing.slack.checks import Refusal, check_blocks, check_content, check_metadata
from llmasos.testing.slack.workspace import Channel, Json, Message, Workspace

Method = Callable[[Workspace, Json], Json]

UPDATE_TEXT_LIMIT = 4_000
STREAM_LIMIT = 12_000


def _place(workspace: Workspace, arguments: Json, name: str = "channel") -> Channel:
    channel = workspace.channels.get(str(arguments.get(name)))
    if channel is None:
        raise Refusal("channel_not_found")
    return channel


def _writable(workspace: Workspace, arguments: Json) -> Channel:
    channel = _place(workspace, arguments)
    if channel.archived:
        raise Refusal("is_archived")
    if not channel.joined:
        raise Refusal("not_in_channel")
    return channel


def _own(workspace: Workspace, arguments: Json, refusal: str) -> Message:
    channel = _writable(workspace, arguments)
    message = workspace.find(channel.id, arguments.get("ts"))
    if message is None:
        raise Refusal("message_not_found")
    if not workspace.ours(message):
        raise Refusal(refusal)
    return message


def _root(workspace: Workspace, channel: Channel, thread_ts: object) -> str | None:
    if thread_ts is None:
        return None
    root = workspace.find(channel.id, str(thread_ts))
    if root is None:
        raise Refusal("thread_not_found")
    return root.thread_ts or root.ts


def auth_test(workspace: Workspace, arguments: Json) -> Json:
    """Who the token belongs to."""
    return {
        "url": "https://stand-in.slack.test/",
        "team": "Stand-in",
        "user": "bot",
        "team_id": workspace.team,
        "user_id": workspace.bot_user,
        "bot_id": workspace.bot_id,
        "is_enterprise_install": False,
    }


def post_message(workspace: Workspace, arguments: Json) -> Json:
    """Write a new message, in a thread or not."""
    channel = _writable(workspace, arguments)
    check_content(arguments)
    message = Message(
        ts=workspace.mint(),
        channel=channel.id,
        user=workspace.bot_user,
        bot_id=workspace.bot_id,
        text=arguments.get("text") or arguments.get("markdown_text") or "",
        thread_ts=_root(workspace, channel, arguments.get("thread_ts")),
        blocks=arguments.get("blocks") or [],
        metadata=arguments.get("metadata"),
    )
    channel.messages.append(message)
    return {
        "channel": channel.id,
        "ts": message.ts,
        "message": message.as_json(with_metadata=True),
    }


def post_ephemeral(workspace: Workspace, arguments: Json) -> Json:
    """Write a message that one person sees."""
    _writable(workspace, arguments)
    check_content(arguments)
    if not arguments.get("user"):
        raise Refusal("user_not_in_channel")
    workspace.ephemerals.append(arguments)
    return {"message_ts": workspace.mint()}


def update(workspace: Workspace, arguments: Json) -> Json:
    """Replace a message of the bot."""
    message = _own(workspace, arguments, "cant_update_message")
    if workspace.streams(message):
        raise Refusal("streaming_state_conflict")
    check_content(arguments, text_limit=UPDATE_TEXT_LIMIT)
    message.text = arguments.get("text") or arguments.get("markdown_text") or ""
    message.blocks = arguments.get("blocks") or []
    message.stream = ""
    message.metadata = arguments.get("metadata") or message.metadata
    message.updates += 1
    return {"channel": message.channel, "ts": message.ts, "text": message.text}


def delete(workspace: Workspace, arguments: Json) -> Json:
    """Remove a message of the bot."""
    message = _own(workspace, arguments, "cant_delete_message")
    workspace.channel(message.channel).messages.remove(message)
    return {"channel": message.channel, "ts": message.ts}


def start_stream(workspace: Workspace, arguments: Json) -> Json:
    """Begin a message whose text grows."""
    channel = _writable(workspace, arguments)
    if not arguments.get("thread_ts"):
        raise Refusal("invalid_arguments", detail="thread_ts is required")
    if "metadata" in arguments:
        raise Refusal("invalid_arguments", detail="metadata is not taken here")
    if channel.kind != "im":
        for name in ("recipient_team_id", "recipient_user_id"):
            if not arguments.get(name):
                raise Refusal(f"missing_{name}")
    text = arguments.get("markdown_text") or ""
    if len(text) > STREAM_LIMIT:
        raise Refusal("msg_too_long")
    message = Message(
        ts=workspace.mint(),
        channel=channel.id,
        user=workspace.bot_user,
        bot_id=workspace.bot_id,
        thread_ts=_root(workspace, channel, arguments["thread_ts"]),
        stream=text,
        streaming=True,
        stream_began=time.monotonic(),
    )
    channel.messages.append(message)
    sessions.stream_sets(workspace, message, "processing")
    return {"channel": channel.id, "ts": message.ts}


def _live(workspace: Workspace, arguments: Json) -> Message:
    message = _own(workspace, arguments, "message_not_owned_by_app")
    if message.stopped_by_user:
        raise Refusal("stopped_by_user")
    if not workspace.streams(message):
        raise Refusal("message_not_in_streaming_state")
    if len(message.stream + (arguments.get("markdown_text") or "")) > STREAM_LIMIT:
        raise Refusal("msg_too_long")
    return message


def append_stream(workspace: Workspace, arguments: Json) -> Json:
    """Let its text grow."""
    if not arguments.get("markdown_text"):
        raise Refusal("no_text")
    message = _live(workspace, arguments)
    message.stream += arguments["markdown_text"]
    return {"channel": message.channel, "ts": message.ts}


def stop_stream(workspace: Workspace, arguments: Json) -> Json:
    """End it; blocks go below the text."""
    message = _live(workspace, arguments)
    check_blocks(arguments.get("blocks") or [])
    check_metadata(arguments.get("metadata"))
    if arguments.get("session_status") not in (None, "active", "processing", "suspended", "closed"):
        raise Refusal("invalid_arguments")
    message.stream += arguments.get("markdown_text") or ""
    message.blocks = arguments.get("blocks") or []
    message.metadata = arguments.get("metadata")
    message.streaming = False
    sessions.stream_sets(workspace, message, arguments.get("session_status") or "active")
    return {"channel": message.channel, "ts": message.ts}


def _page(arguments: Json, found: list[Message], keep: Message | None = None) -> Json:
    """A page of messages, between `oldest` and `latest`; `keep` is there in any case."""
    oldest, latest = float(arguments.get("oldest") or 0), float(arguments.get("latest") or 1e12)
    inclusive = _true(arguments.get("inclusive"))
    inside = [
        m
        for m in found
        if m is keep
        or oldest < float(m.ts) < latest
        or (inclusive and float(m.ts) in (oldest, latest))
    ]
    start, size = int(arguments.get("cursor") or 0), int(arguments.get("limit") or 100)
    following = start + size
    more = following < len(inside)
    metadata = _true(arguments.get("include_all_metadata"))
    return {
        "messages": [m.as_json(with_metadata=metadata) for m in inside[start:following]],
        "has_more": more,
        "response_metadata": {"next_cursor": str(following) if more else ""},
    }


def _true(value: object) -> bool:
    return str(value).lower() in ("1", "true")


def replies(workspace: Workspace, arguments: Json) -> Json:
    """A page of a thread's messages; its first one is always there."""
    channel = _place(workspace, arguments)
    root = workspace.find(channel.id, arguments.get("ts"))
    if root is None:
        raise Refusal("thread_not_found")
    return _page(arguments, workspace.thread(channel.id, root.ts), keep=root)


def history(workspace: Workspace, arguments: Json) -> Json:
    """A page of a channel's messages outside threads, newest first."""
    channel = _place(workspace, arguments)
    if not channel.joined:
        raise Refusal("not_in_channel")
    return _page(arguments, [m for m in reversed(channel.messages) if m.thread_ts is None])


def conversation_info(workspace: Workspace, arguments: Json) -> Json:
    """What a channel is."""
    channel = _place(workspace, arguments)
    told = {"id": channel.id, "name": channel.id.lower(), "is_archived": channel.archived}
    return {"channel": {**told, "is_im": channel.kind == "im", "is_member": channel.joined}}


def user_info(workspace: Workspace, arguments: Json) -> Json:
    """Who a person is."""
    user = workspace.users.get(str(arguments.get("user")))
    if user is None:
        raise Refusal("user_not_found")
    return {"user": user}


def set_status(workspace: Workspace, arguments: Json) -> Json:
    """Show a word on what is being done."""
    channel = _place(workspace, arguments, "channel_id")
    if not arguments.get("thread_ts"):
        raise Refusal("invalid_arguments")
    messages = arguments.get("loading_messages") or []
    if len(messages) > 10 or any(not 1 <= len(each) <= 50 for each in messages):
        raise Refusal("invalid_arguments", detail="loading_messages")
    place = (channel.id, str(arguments["thread_ts"]))
    workspace.statuses.setdefault(place, []).append(str(arguments["status"]))
    return {}


def set_prompts(workspace: Workspace, arguments: Json) -> Json:
    """Offer messages to send with a click."""
    _place(workspace, arguments, "channel_id")
    prompts = arguments.get("prompts")
    if not isinstance(prompts, list) or not 1 <= len(prompts) <= 4:
        raise Refusal("invalid_arguments")
    workspace.prompts.append(arguments)
    return {}


def add_reaction(workspace: Workspace, arguments: Json) -> Json:
    """React to a message with an emoji."""
    channel = _writable(workspace, arguments)
    if workspace.find(channel.id, arguments.get("timestamp")) is None:
        raise Refusal("message_not_found")
    reaction = (channel.id, str(arguments["timestamp"]), str(arguments["name"]))
    if reaction in workspace.reactions:
        raise Refusal("already_reacted")
    workspace.reactions.append(reaction)
    return {}


def permalink(workspace: Workspace, arguments: Json) -> Json:
    """The link to a message."""
    channel = _place(workspace, arguments)
    ts = str(arguments.get("message_ts"))
    if workspace.find(channel.id, ts) is None:
        raise Refusal("message_not_found")
    link = f"https://stand-in.slack.com/archives/{channel.id}/p{ts.replace('.', '')}"
    return {"channel": channel.id, "permalink": link}


HISTORY: dict[str, str] = {
    "channel": "channels:history",
    "group": "groups:history",
    "mpim": "mpim:history",
    "im": "im:history",
}

METHODS: dict[str, tuple[Method, str | None]] = {
    "auth.test": (auth_test, None),
    "chat.postMessage": (post_message, "chat:write"),
    "chat.postEphemeral": (post_ephemeral, "chat:write"),
    "chat.update": (update, "chat:write"),
    "chat.delete": (delete, "chat:write"),
    "chat.startStream": (start_stream, "chat:write"),
    "chat.appendStream": (append_stream, "chat:write"),
    "chat.stopStream": (stop_stream, "chat:write"),
    "conversations.replies": (replies, "history"),
    "conversations.history": (history, "history"),
    "conversations.info": (conversation_info, "channels:read"),
    "users.info": (user_info, "users:read"),
    "assistant.threads.setStatus": (set_status, "chat:write"),
    "assistant.threads.setSuggestedPrompts": (set_prompts, "assistant:write"),
    "reactions.add": (add_reaction, "reactions:write"),
    **people.METHODS,
    **sessions.METHODS,
    **views.METHODS,
    **uploads.METHODS,
    "chat.getPermalink": (permalink, None),
}


def perform(workspace: Workspace, scopes: set[str], method: str, arguments: Json) -> Json:
    """Do what a call asks, if its scopes allow it.

    Raises Refusal with Slack's error code.
    """
    if method not in METHODS:
        raise Refusal("unknown_method")
    function, scope = METHODS[method]
    if scope == "history":
        channel = workspace.channels.get(str(arguments.get("channel")))
        scope = HISTORY[channel.kind] if channel else None
    if scope and scope not in scopes:
        raise Refusal("missing_scope", needed=scope, provided=",".join(sorted(scopes)))
    with workspace.lock:
        return function(workspace, arguments)


def event_of(message: Message, channel: Channel, team: str) -> dict[str, Any]:
    """The `message` event that Slack sends for a message."""
    event: Json = {
        "type": "message",
        "channel": channel.id,
        "channel_type": channel.kind,
        "event_ts": message.ts,
        "team": team,
        **message.as_json(with_metadata=False),
    }
    if message.bot_id:
        event["app_id"] = Workspace.app
    else:
        event["client_msg_id"] = f"msg-{message.ts}"
    return event


def changed_event(event: Json, channel: Channel, ts: str) -> Json:
    """The event of a message that was edited."""
    return {
        "type": "message",
        "subtype": "message_changed",
        "hidden": True,
        "channel": channel.id,
        "channel_type": channel.kind,
        "ts": ts,
        "event_ts": ts,
        "message": {**event, "edited": {"user": event["user"], "ts": ts}},
        "previous_message": event,
    }
