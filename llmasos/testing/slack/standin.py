"""The stand-in itself: a server on loopback, and a person's hands and eyes.

    with SlackStandIn() as slack:
        ts = slack.say("C0GENERAL", "How long do refunds take?")
        slack.wait(lambda: slack.answers("C0GENERAL", ts))

Start reading at `say` and `messages`.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from llmasos.testing.slack.delivery import Delivery
from llmasos.testing.slack.hands import Hands
from llmasos.testing.slack.methods import changed_event, event_of
from llmasos.testing.slack.workspace import Channel, Json, Message

T = TypeVar("T")


class SlackStandIn(Hands):
    """Slack on this machine. A context manager; it stops when the block ends."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.workspace.channel("C0GENERAL")
        for user in ("U0ANN", "U0BEN"):
            self.workspace.users[user] = {"id": user, "name": user.lower(), "real_name": user}

    # A person's hands

    def say(
        self,
        channel: str,
        text: str,
        user: str = "U0ANN",
        thread_ts: str | None = None,
        *,
        mention: bool = True,
        **fields: Any,
    ) -> str:
        """A person writes in a channel; the message's `ts`.

        With `mention` the bot is named first: Slack then sends the mention and the message.
        """
        bot = self.workspace.bot_user
        text = f"<@{bot}> {text}" if mention else text
        message, place = self._write(channel, text, user, thread_ts)
        event = {**self._event(message, place), **fields}
        if f"<@{bot}>" in text:
            self._send({**event, "type": "app_mention"})
        self._send(event)
        return message.ts

    def dm(
        self, text: str, user: str = "U0ANN", thread_ts: str | None = None, **fields: Any
    ) -> str:
        """A person writes to the bot alone; the message's `ts`."""
        message, place = self._write(self.im(user), text, user, thread_ts)
        self._send({**self._event(message, place), **fields})
        return message.ts

    def im(self, user: str = "U0ANN") -> str:
        """The direct message's channel id of a person."""
        return self.workspace.channel("D" + user[1:], user=user).id

    def edit(self, channel: str, ts: str, text: str) -> None:
        """A person changes a message."""
        place = self.workspace.channel(channel)
        message = self.workspace.find(channel, ts)
        if message is None:
            raise LookupError(f"there is no message {ts} in {channel}")
        before = message.as_json(with_metadata=False)
        message.text = text
        event = event_of(message, place, self.workspace.team)
        changed = changed_event(event, place, self.workspace.mint())
        self._send({**changed, "previous_message": before})

    def bot_says(self, channel: str, text: str, thread_ts: str | None = None) -> str:
        """Another bot writes in a channel."""
        message, place = self._write(channel, text, "U0OTHER", thread_ts)
        message.bot_id = "B0OTHER"
        event = event_of(message, place, self.workspace.team)
        self._send({**event, "subtype": "bot_message"})
        if f"<@{self.workspace.bot_user}>" in text:
            self._send({**event, "type": "app_mention"})
        return message.ts

    def open_messages_tab(self, user: str = "U0ANN") -> None:
        """A person opens the bot's direct messages."""
        place = self.im(user)
        event = {"type": "app_home_opened", "tab": "messages", "user": user, "channel": place}
        self._send({**event, "event_ts": self.workspace.mint()})

    def press(self, channel: str, ts: str, value: str, user: str = "U0ANN") -> None:
        """A person presses a feedback button under a message."""
        body = {
            "type": "block_actions",
            "api_app_id": self.workspace.app,
            "team": {"id": self.workspace.team, "domain": "stand-in"},
            "user": {"id": user, "team_id": self.workspace.team},
            "channel": {"id": channel},
            "message": {"ts": ts},
            "actions": [
                {
                    "type": "feedback_buttons",
                    "action_id": "llmasos_feedback",
                    "block_id": "b",
                    "value": value,
                    "action_ts": self.workspace.mint(),
                }
            ],
        }
        self._deliver(Delivery(body, kind="interactive"))

    def _event(self, message: Message, place: Channel) -> Json:
        event = event_of(message, place, self.workspace.team)
        root = self.workspace.find(place.id, message.thread_ts)
        return {**event, "parent_user_id": root.user} if root is not None else event

    def send_event(self, event: Json) -> str:
        """Any event; its id."""
        return self._send(event)

    def _write(
        self, channel: str, text: str, user: str, thread_ts: str | None
    ) -> tuple[Message, Channel]:
        with self.workspace.lock:
            place = self.workspace.channel(channel)
            ts = self.workspace.mint()
            message = Message(ts=ts, channel=channel, user=user, text=text, thread_ts=thread_ts)
            place.messages.append(message)
            return message, place

    # What happens at Slack's side

    def kill_streams(self) -> None:
        """End every live stream on Slack's side."""
        for message in self._all():
            message.streaming = False

    def stop_as_user(self, channel: str, ts: str) -> None:
        """A person presses Stop under a stream."""
        message = self.workspace.find(channel, ts)
        if message is not None:
            message.stopped_by_user, message.streaming = True, False

    # A person's eyes

    def messages(self, channel: str, thread_ts: str | None = None) -> list[Message]:
        """The messages of a channel, or of one of its threads."""
        with self.workspace.lock:
            if thread_ts is None:
                return list(self.workspace.channel(channel).messages)
            return list(self.workspace.thread(channel, thread_ts))

    def answers(self, channel: str, thread_ts: str, *, final: bool = True) -> list[Message]:
        """What the bot wrote in a thread; by default what has its last content."""
        own = [m for m in self.messages(channel, thread_ts) if self.workspace.ours(m)]
        return [m for m in own if m.payload.get("final") or not final]

    def called(self, method: str) -> list[Json]:
        """The arguments of all calls of a method."""
        return [call.arguments for call in list(self.calls) if call.method == method]

    def wait(self, condition: Callable[[], T], seconds: float = 10.0) -> T:
        """Wait until something is so; what the condition gave.

        Raises TimeoutError after the seconds.
        """
        until = time.monotonic() + seconds
        while not (result := condition()):
            if time.monotonic() > until:
                raise TimeoutError(f"Slack's stand-in waited {seconds:g} s in vain")
            time.sleep(0.01)
        return result

    def _all(self) -> list[Message]:
        with self.workspace.lock:
            return [m for place in self.workspace.channels.values() for m in place.messages]
