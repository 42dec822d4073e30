"""A person's hands beyond writing: commands, the shortcut, modals, the home, Stop, files.

What is written and seen is in `standin.py`. Each gives the delivery, whose `answer` is what the app
said at once.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llmasos.testing.slack.delivery import Delivery
from llmasos.testing.slack.server import SlackServer
from llmasos.testing.slack.workspace import File, Json

TRIGGER_SECONDS = 3.0


class Hands(SlackServer):
    """Does in Slack what people do."""

    @contextmanager
    def at(self, team: str) -> Iterator[None]:
        """Within the block people act in another workspace, and are seen there."""
        before, self.workspace = self.workspace, self.directory.workspace(team)
        try:
            yield
        finally:
            self.workspace = before

    def remove_app(self, team: str) -> None:
        """A person removes the app from a workspace."""
        self.directory.revoke(team)
        space = self.directory.workspace(team)
        revoked = {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [space.bot_user]}}
        for event in (revoked, {"type": "app_uninstalled"}):
            self._send({**event, "event_ts": space.mint()}, space)

    def command(
        self, name: str, text: str = "", channel: str = "C0GENERAL", user: str = "U0ANN"
    ) -> Delivery:
        """A person gives a slash command."""
        url = self.response_url()
        body = {
            "team_id": self.workspace.team,
            "channel_id": channel,
            "channel_name": channel.lower(),
            "user_id": user,
            "command": name,
            "text": text,
            "response_url": url,
            "trigger_id": self.trigger(),
            "api_app_id": self.workspace.app,
        }
        return self._hand_over(body, "slash_commands")

    def ask_about(self, channel: str, ts: str, user: str = "U0ANN") -> Delivery:
        """A person chooses the shortcut "Ask about this" at a message."""
        message = self.workspace.find(channel, ts)
        if message is None:
            raise LookupError(f"there is no message {ts} in {channel}")
        body = {
            "type": "message_action",
            "callback_id": "llmasos_ask_about",
            "channel": {"id": channel, "name": channel.lower()},
            "message": message.as_json(with_metadata=False),
            "message_ts": ts,
            "response_url": self.response_url(),
            "trigger_id": self.trigger(),
            **self._person(user),
        }
        return self._hand_over(body, "interactive")

    def submit(self, view_id: str, user: str = "U0ANN", **values: str) -> Delivery:
        """A person fills a modal in and sends it. values: by block, whose action has its name."""
        view = {
            **self.workspace.views[view_id],
            "state": {"values": {k: {k: {"value": v}} for k, v in values.items()}},
        }
        body = {"type": "view_submission", "view": view, **self._person(user)}
        return self._hand_over(body, "interactive")

    def press_button(self, action: str, value: str, user: str = "U0ANN", **more: Any) -> Delivery:
        """A person presses a button. more: where it stands (`channel`, `message`, `container`)."""
        act = {"type": "button", "action_id": action, "block_id": "b", "value": value}
        body = {
            "type": "block_actions",
            "actions": [{**act, "action_ts": self.workspace.mint()}],
            "trigger_id": self.trigger(),
            **self._person(user),
            **more,
        }
        return self._hand_over(body, "interactive")

    def open_home_tab(self, user: str = "U0ANN") -> None:
        """A person opens the app's home."""
        channel = "D" + user[1:]
        event = {"type": "app_home_opened", "tab": "home", "user": user, "channel": channel}
        self._send({**event, "event_ts": self.workspace.mint()})

    def press_stop(self, channel: str, thread_ts: str, user: str = "U0ANN") -> None:
        """A person presses Stop in a session."""
        event = {"type": "agent_session_stopped", "channel": channel, "thread_ts": thread_ts}
        more = {"user": user, "streaming_message_ts": [], "event_ts": self.workspace.mint()}
        self._send({**event, **more})

    def look_at(self, channel: str, user: str = "U0ANN") -> None:
        """A person opens a channel beside the bot's direct messages."""
        team = self.workspace.team
        entity = {"type": "slack#/types/channel_id", "value": channel, "team_id": team}
        event = {"type": "app_context_changed", "context": {"entities": [entity]}}
        more = {"user": user, "channel": "D" + user[1:], "event_ts": self.workspace.mint()}
        self._send({**event, **more})

    def remove(self, channel: str, ts: str) -> None:
        """A person deletes a message of theirs."""
        message = self.workspace.find(channel, ts)
        if message is None:
            raise LookupError(f"there is no message {ts} in {channel}")
        place = self.workspace.channel(channel)
        place.messages.remove(message)
        at = self.workspace.mint()
        self._send(
            {
                "type": "message",
                "subtype": "message_deleted",
                "hidden": True,
                "channel": channel,
                "channel_type": place.kind,
                "ts": at,
                "event_ts": at,
                "deleted_ts": ts,
                "previous_message": message.as_json(with_metadata=False),
            }
        )

    def upload(self, name: str, content: bytes, media_type: str = "text/plain") -> Json:
        """A person uploads a file; what stands in a message's `files`."""
        file_id = f"F{uuid.uuid4().hex[:10].upper()}"
        self.workspace.files[file_id] = File(name, content, media_type)
        url = f"{self.api_url.removesuffix('/api/')}/files/{file_id}"
        return {
            "id": file_id,
            "name": name,
            "mimetype": media_type,
            "size": len(content),
            "url_private": url,
            "url_private_download": url,
        }

    def trigger(self) -> str:
        """What may open a modal now."""
        trigger = uuid.uuid4().hex
        self.workspace.triggers[trigger] = time.monotonic() + TRIGGER_SECONDS
        return trigger

    def response_url(self) -> str:
        """A URL that takes messages for one person."""
        response = uuid.uuid4().hex
        self.workspace.responses[response] = []
        return f"{self.api_url.removesuffix('/api/')}/response/{response}"

    @property
    def private_answers(self) -> list[Json]:
        """What was sent to response URLs."""
        return [each for sent in self.workspace.responses.values() for each in sent]

    def _person(self, user: str) -> Json:
        team = self.workspace.team
        return {
            "user": {"id": user, "team_id": team},
            "team": {"id": team, "domain": "stand-in"},
            "api_app_id": self.workspace.app,
        }

    def _hand_over(self, body: Json, kind: str) -> Delivery:
        delivery = Delivery(body, kind=kind)
        self._deliver(delivery)
        return delivery
