"""Modals and homes in the stand-in, with Slack's limits on them."""

import time
import uuid
from typing import Any

from llmasos.testing.slack.checks import Refusal
from llmasos.testing.slack.workspace import Json, Workspace

BLOCK_TYPES = {"actions", "context", "divider", "header", "input", "section"}
MOST_BLOCKS = 100
CARRIED = 3_000
SHORT = 24
"""Characters of a modal's title and its buttons."""


def open_modal(workspace: Workspace, arguments: Json) -> Json:
    """Open a modal for whoever did what gave the trigger: once, within three seconds."""
    until = workspace.triggers.pop(str(arguments.get("trigger_id")), None)
    if until is None:
        raise Refusal("invalid_trigger_id")
    if time.monotonic() > until:
        raise Refusal("expired_trigger_id")
    view = _checked(arguments, "modal")
    for word in ("title", "submit", "close"):
        if len(_text(view.get(word))) > SHORT:
            raise Refusal("invalid_arguments", detail=f"{word} is too long")
    view = {**view, "id": f"V{uuid.uuid4().hex[:10].upper()}"}
    workspace.views[view["id"]] = view
    return {"view": view}


def publish(workspace: Workspace, arguments: Json) -> Json:
    """Show a person their home."""
    user = str(arguments.get("user_id"))
    if user not in workspace.users:
        raise Refusal("user_not_found")
    view = {**_checked(arguments, "home"), "id": f"VHOME{user}"}
    workspace.views[user] = view
    return {"view": view}


def _checked(arguments: Json, kind: str) -> Json:
    view = arguments.get("view")
    if not isinstance(view, dict) or view.get("type") != kind:
        raise Refusal("invalid_arguments")
    blocks = view.get("blocks")
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= MOST_BLOCKS:
        raise Refusal("invalid_arguments", detail="blocks")
    if len(str(view.get("private_metadata") or "")) > CARRIED:
        raise Refusal("invalid_arguments", detail="private_metadata is too long")
    for block in blocks:
        _check_block(block)
    return view


def _check_block(block: Any) -> None:
    kind = block.get("type")
    if kind not in BLOCK_TYPES:
        raise Refusal("invalid_blocks")
    if kind == "header" and not 1 <= len(_text(block.get("text"))) <= 150:
        raise Refusal("invalid_blocks")
    if kind == "section" and not 1 <= len(_text(block.get("text"))) <= 3000:
        raise Refusal("invalid_blocks")
    if kind == "context" and any(not 1 <= len(e["text"]) <= 2000 for e in block["elements"]):
        raise Refusal("invalid_blocks")
    button = block.get("accessory")
    if button is not None and not (
        1 <= len(_text(button.get("text"))) <= 75 and len(button.get("value", "")) <= 2000
    ):
        raise Refusal("invalid_blocks")


def _text(value: Any) -> str:
    return str(value.get("text", "")) if isinstance(value, dict) else ""


METHODS = {
    "views.open": (open_modal, None),
    "views.publish": (publish, None),
}
