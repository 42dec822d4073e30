"""The Slack app's manifest: what to paste at api.slack.com/apps to create the app.

It asks for exactly the scopes and events that the code beside it uses.
"""

from collections.abc import Sequence
from typing import Any

from agents.catalog import Catalog

SCOPES = {
    "app_mentions:read": "mentions in channels",
    "assistant:write": "suggested prompts in the agent view",
    "channels:history": "follow-ups in public channels, and finding our own messages again",
    "chat:write": "answers, streams, statuses",
    "files:write": "long code and documents as files",
    "groups:history": "the same in private channels",
    "im:history": "direct messages",
    "metadata.message:read": "telling our own messages apart after a crash",
    "mpim:history": "the same in group messages",
}
"""Bot scopes, and what each is for."""

EVENTS = (
    "app_home_opened",
    "app_mention",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
)

DESCRIPTION = "Answers questions, writes and reviews text and code, with sources."


def first_examples(catalog: Catalog) -> tuple[str, ...]:
    """Each agent's first example: the messages to offer."""
    return tuple(agent.examples[0] for agent in catalog if agent.examples)


def manifest(name: str, prompts: Sequence[str], url: str | None) -> dict[str, Any]:
    """The manifest.

    name: what the bot is called. prompts: messages to offer; Slack shows four at most.
    url: where Slack sends events over HTTP; None: Socket Mode.
    """
    agent_view: dict[str, Any] = {"agent_description": DESCRIPTION}
    if prompts:
        agent_view["suggested_prompts"] = [
            {"title": prompt[:75], "message": prompt} for prompt in prompts[:4]
        ]
    events: dict[str, Any] = {"bot_events": list(EVENTS)}
    interactivity: dict[str, Any] = {"is_enabled": True}
    if url is not None:
        events["request_url"] = interactivity["request_url"] = url
    return {
        "display_information": {"name": name, "description": DESCRIPTION},
        "features": {
            "app_home": {
                "home_tab_enabled": False,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "agent_view": agent_view,
            "bot_user": {"display_name": name.lower(), "always_online": True},
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": events,
            "interactivity": interactivity,
            "socket_mode_enabled": url is None,
            "token_rotation_enabled": False,
            "org_deploy_enabled": False,
        },
    }
