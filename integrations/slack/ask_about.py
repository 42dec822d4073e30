"""The message shortcut "Ask about this": a modal for the question, and the request that it makes.

The message that is asked about travels in the modal, since it may stand where the bot cannot read.
Pure. Start reading at `modal` and `to_request`.
"""

import json
from collections.abc import Mapping
from typing import Any

from integrations.slack.address import CHANNEL, MEMBER, TS, Address
from integrations.slack.command_channel import command_address
from integrations.slack.translate import SOURCE, House, chosen_agent, readable
from llmasos.request import Request

SHORTCUT = "llmasos_ask_about"
"""The `callback_id` of the shortcut and of its modal."""
QUESTION = "question"
"""The block and the action of the modal's only field."""
CARRIED = 2_950
"""Characters that a modal carries unseen (Slack takes 3,000)."""
SHOWN = 300
LONGEST = 3_000


def modal(payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """The modal for a message; None when the payload names none."""
    message, channel = payload.get("message"), payload.get("channel")
    if not isinstance(message, dict) or not isinstance(channel, dict):
        return None
    text = readable(str(message.get("text") or ""))
    carried = {
        "channel": str(channel.get("id") or "")[:50],
        "ts": str(message.get("ts") or payload.get("message_ts") or "")[:50],
        "thread": str(message.get("thread_ts") or "")[:50],
        "user": str(message.get("user") or "")[:50],
        "url": str(payload.get("response_url") or "")[:500],
        "text": text,
    }
    plain = _fitting(carried)
    words = " ".join(text.split())
    return {
        "type": "modal",
        "callback_id": SHORTCUT,
        "private_metadata": plain,
        "title": {"type": "plain_text", "text": "Ask about this"},
        "submit": {"type": "plain_text", "text": "Ask"},
        "close": {"type": "plain_text", "text": "Cancel"},
        "blocks": [
            {
                "type": "context",
                "elements": [{"type": "plain_text", "text": words[:SHOWN] or "(no text)"}],
            },
            {
                "type": "input",
                "block_id": QUESTION,
                "label": {"type": "plain_text", "text": "Your question"},
                "element": {
                    "type": "plain_text_input",
                    "action_id": QUESTION,
                    "multiline": True,
                    "max_length": LONGEST,
                },
            },
        ],
    }


def _fitting(carried: dict[str, str]) -> str:
    """What the modal carries, its text cut until it fits."""
    while len(plain := json.dumps(carried, ensure_ascii=False)) > CARRIED:
        over = len(plain) - CARRIED
        carried["text"] = carried["text"][: -over - 1] + "…"
    return plain


def to_request(payload: Mapping[str, Any], house: House) -> Request | None:
    """The request that a submitted modal makes; None when it is not one of ours, or is broken."""
    view, user = payload.get("view"), payload.get("user")
    if not isinstance(view, dict) or not isinstance(user, dict):
        return None
    try:
        carried = json.loads(str(view.get("private_metadata")))
        question = str(view["state"]["values"][QUESTION][QUESTION]["value"] or "")
        channel, ts, thread = (str(carried[name]) for name in ("channel", "ts", "thread"))
    except (KeyError, TypeError, ValueError):
        return None
    who, team = str(user.get("id") or ""), str(user.get("team_id") or house.team)
    right = (
        CHANNEL.fullmatch(channel)
        and TS.fullmatch(ts)
        and (not thread or TS.fullmatch(thread))
        and MEMBER.fullmatch(who)
        and MEMBER.fullmatch(team)
    )
    if not right:
        return None
    agent, text = chosen_agent(question.strip(), channel, house)
    asked = f"ask:{view.get('id') or ts}"[:100]
    return Request(
        agent=agent,
        text=text,
        principal=house.person(who, team, channel),
        conversation=house.conversation(channel, asked),
        reply_to=(
            command_address(Address(channel, thread or ts, team, who, workspace=house.named)),
        ),
        idempotency_key=house.key(channel, asked),
        metadata={
            "source": SOURCE,
            "response_url": str(carried.get("url") or ""),
            "about": {
                "ts": ts,
                "user": str(carried.get("user") or ""),
                "text": str(carried.get("text") or ""),
            },
        },
    )
