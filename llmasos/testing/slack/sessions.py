"""Sessions of the agent view in the stand-in."""

from llmasos.testing.slack.checks import Refusal
from llmasos.testing.slack.workspace import Json, Message, Workspace

STATES = ("processing", "active", "suspended", "closed")
LONGEST_TITLE = 200


def set_status(workspace: Workspace, arguments: Json) -> Json:
    """Set a session's state, making the session if there is none; a title counts only then."""
    place = _place(workspace, arguments)
    if arguments.get("status") not in STATES:
        raise Refusal("invalid_arguments")
    title = str(arguments.get("title") or "")
    if len(title) > LONGEST_TITLE:
        raise Refusal("invalid_arguments", detail="the title is too long")
    session = workspace.sessions.setdefault(place, {"title": title, "states": []})
    session["status"] = arguments["status"]
    session["states"].append(arguments["status"])
    return {}


def stream_sets(workspace: Workspace, message: Message, status: str) -> None:
    """What a stream's start and end make of its session; a message that is posted changes none."""
    if workspace.channels[message.channel].kind == "im":
        place = (message.channel, str(message.thread_ts))
        session = workspace.sessions.setdefault(place, {"title": "", "states": []})
        session["status"] = status
        session["states"].append(status)


def rename(workspace: Workspace, arguments: Json) -> Json:
    """Give a session another title."""
    session = workspace.sessions.get(_place(workspace, arguments))
    if session is None:
        raise Refusal("session_not_found")
    session["title"] = str(arguments.get("title") or "")
    return {}


def _place(workspace: Workspace, arguments: Json) -> tuple[str, str]:
    channel, thread = str(arguments.get("channel_id")), arguments.get("thread_ts")
    if channel not in workspace.channels:
        raise Refusal("channel_not_found")
    if not thread:
        raise Refusal("invalid_arguments")
    return channel, str(thread)


METHODS = {
    "agents.sessions.setStatus": (set_status, "chat:write"),
    "agents.sessions.rename": (rename, "chat:write"),
}
