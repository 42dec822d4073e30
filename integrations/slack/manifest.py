"""The Slack app's manifest: what to paste at api.slack.com/apps to create the app.

It asks for exactly the scopes and events that the code beside it uses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents.catalog import Catalog
from integrations.slack.ask_about import SHORTCUT
from integrations.slack.commands import SHORT

SCOPES = {
    "app_mentions:read": "mentions in channels",
    "assistant:write": "suggested prompts in the agent view",
    "channels:history": "follow-ups in public channels, and finding our own messages again",
    "channels:read": "whether a command was given where the bot is a member",
    "chat:write": "answers, streams, statuses",
    "commands": "slash commands and the shortcut",
    "files:read": "reading attached files",
    "files:write": "long code and documents as files",
    "groups:history": "follow-ups in private channels",
    "groups:read": "the same as channels:read in private channels",
    "im:history": "direct messages",
    "metadata.message:read": "telling our own messages apart after a crash",
    "mpim:history": "follow-ups in group messages",
    "usergroups:read": "agents that are open to a user group",
    "users:read": "people's names",
}
"""Bot scopes, and what each is for."""

EVENTS = (
    "agent_session_stopped",
    "app_context_changed",
    "app_home_opened",
    "app_mention",
    "app_uninstalled",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
    "tokens_revoked",
)

DESCRIPTION = "Answers questions, writes and reviews text and code, with sources."


def first_examples(catalog: Catalog) -> tuple[str, ...]:
    """Each agent's first example: the messages to offer."""
    return tuple(agent.examples[0] for agent in catalog if agent.examples)


@dataclass(frozen=True)
class Wanted:
    """What the app should have."""

    name: str
    """What the bot is called."""
    prompts: Sequence[str] = ()
    """Messages to offer; Slack shows four at most."""
    commands: Sequence[str] = tuple(SHORT)
    url: str | None = None
    """Where Slack sends events over HTTP; None: Socket Mode."""
    redirect_url: str | None = None
    """Where Slack sends browsers that add the app to a workspace; None: nobody does."""


def manifest(wanted: Wanted) -> dict[str, Any]:
    """The manifest."""
    url = {} if wanted.url is None else {"url": wanted.url}
    request_url = {} if wanted.url is None else {"request_url": wanted.url}
    redirects = {} if wanted.redirect_url is None else {"redirect_urls": [wanted.redirect_url]}
    agent_view: dict[str, Any] = {"agent_description": DESCRIPTION}
    if wanted.prompts:
        agent_view["suggested_prompts"] = [
            {"title": prompt[:75], "message": prompt} for prompt in wanted.prompts[:4]
        ]
    return {
        "display_information": {"name": wanted.name, "description": DESCRIPTION},
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "agent_view": agent_view,
            "bot_user": {"display_name": wanted.name.lower(), "always_online": True},
            "slash_commands": [
                {"command": name, "description": SHORT[name], "should_escape": True, **url}
                for name in wanted.commands
            ],
            "shortcuts": [
                {
                    "name": "Ask about this",
                    "type": "message",
                    "callback_id": SHORTCUT,
                    "description": "Ask a question about a message",
                }
            ],
        },
        "oauth_config": {**redirects, "scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": {"bot_events": list(EVENTS), **request_url},
            "interactivity": {"is_enabled": True, **request_url},
            "socket_mode_enabled": wanted.url is None,
            "token_rotation_enabled": False,
            "org_deploy_enabled": False,
        },
    }
