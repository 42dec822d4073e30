"""Where the answer to a command or a shortcut goes: into the channel, or to its person alone.

    slack-command:C0123?team=T1&user=U1        a `channels.Channel` of its own, beside `slack`

A command may be given where the bot is not a member. There Slack's `response_url` is the only way:
five messages within thirty minutes, which the person alone sees. It is kept in the request and
never in the address, since whoever knows it may write. Start reading at `CommandChannel.open`.
"""

from dataclasses import replace
from urllib.parse import urlsplit

from slack_sdk.webhook import WebhookClient

from integrations.slack.address import SCHEME as PLAIN
from integrations.slack.address import Address, parse
from integrations.slack.artifacts import listed, unshared, with_short_ones
from integrations.slack.blocks import Ending, Look, source_of
from integrations.slack.calls import Refused, SlackError, as_channel_error
from integrations.slack.channel import SlackChannel, channel
from integrations.slack.harmless import harmless
from integrations.slack.markdown import pieces
from llmasos.channels import Draft, Journal, Outcome, Post, Turnover, how_to_decide
from llmasos.errors import ChannelRefused, ChannelUnavailable
from llmasos.events import Approval, Failure, Reply
from llmasos.settings import Settings

SCHEME = "slack-command"
TIMEOUT = 15
"""Seconds to wait for the response URL."""
MOST_PARTS = 4
"""Slack takes five messages; one has gone to say that the question was taken."""
QUOTED = 300
"""Characters of the question that are shown above its answer in a channel."""


def command_address(place: Address) -> str:
    """The address of a command's answer. place: where the command was given, and by whom."""
    return f"{SCHEME}:{str(place).partition(':')[2]}"


def command_channel(settings: Settings) -> "CommandChannel | None":
    """The channel of these settings; None without a bot token."""
    slack = channel(settings)
    return CommandChannel(slack, settings.slack.api_url) if slack else None


class CommandChannel:
    """Answers commands. Safe to use from several threads.

    slack: how messages are posted where the bot is a member. api_url: whose response URLs count.
    """

    scheme = SCHEME

    def __init__(self, slack: SlackChannel, api_url: str) -> None:
        self._slack, self._api_url = slack, api_url

    def open(self, address: str, turn: Turnover, journal: Journal) -> Post:
        """The post of a job at an address.

        Raises ChannelRefused, ChannelUnavailable or LeaseLost.
        """
        plain = f"{PLAIN}:{address.removeprefix(f'{SCHEME}:')}"
        if _is_member(self._slack, parse(plain)):
            return QuotingPost(self._slack.open(plain, turn, journal), turn)
        url = str(turn.request.metadata.get("response_url") or "")
        if not self._is_slacks(url):
            reason = "the bot is not in this channel, and Slack gave no other way to answer"
            raise ChannelRefused(address, reason)
        return ResponsePost(address, url, turn, journal)

    def _is_slacks(self, url: str) -> bool:
        """Whether a URL is one of those that Slack gives to answer commands."""
        given, ours = urlsplit(url), urlsplit(self._api_url)
        if (given.scheme, given.netloc) == (ours.scheme, ours.netloc):
            return True
        return given.scheme == "https" and given.netloc == "hooks.slack.com"


class QuotingPost:
    """A message in the channel, which shows the question above its answer: nobody else saw it."""

    def __init__(self, post: Post, turn: Turnover) -> None:
        self._post, self.interval = post, post.interval
        asked = " ".join(turn.request.text.split())
        asked = asked if len(asked) <= QUOTED else f"{asked[:QUOTED]}…"
        self._head = f"> {turn.request.principal.name or 'A member'} asked: {asked}\n\n"

    def show(self, draft: Draft) -> None:
        """Bring what is seen up to the draft."""
        text = self._head + draft.text if draft.text else ""
        self._post.show(replace(draft, text=text))

    def finish(self, outcome: Outcome) -> None:
        """Bring the final content. Raises what the message's own post raises."""
        match outcome:
            case Reply():
                told: Outcome = outcome.model_copy(update={"text": self._head + outcome.text})
            case Failure():
                words = f"{outcome.message}\n\n{self._head}"
                told = outcome.model_copy(update={"message": words})
            case _:
                told = outcome
        self._post.finish(told)


class ResponsePost:
    """Messages to one person through a response URL; they cannot be changed, so drafts are not."""

    interval = 60.0

    def __init__(self, address: str, url: str, turn: Turnover, journal: Journal) -> None:
        self._address, self._turn, self._journal = address, turn, journal
        self._client = WebhookClient(url, timeout=TIMEOUT, retry_handlers=[])

    def show(self, draft: Draft) -> None:
        """Nothing: each message counts."""

    def finish(self, outcome: Outcome) -> None:
        """Bring the answer. Raises ChannelRefused, ChannelUnavailable or LeaseLost."""
        job_id = self._turn.job_id
        match outcome:
            case Reply():
                looks = self._answer(outcome)
            case Failure():
                looks = [Look(harmless(f"⚠️ {outcome.message}"))]
            case Approval():
                asked = f"✋ {outcome.question}\n{how_to_decide(job_id)}"
                self._send(0, Look(harmless(asked)), last=False)
                return
        done = {row.part for row in self._journal.rows() if row.state == "closed"}
        for part, look in enumerate(looks):
            if part not in done:
                self._send(part, look, last=True)

    def _answer(self, reply: Reply) -> list[Look]:
        """The messages of an answer; what does not fit is found with a command."""
        job_id = self._turn.job_id
        texts = pieces(harmless(with_short_ones(reply)))
        looks = [Look(text) for text in texts[:MOST_PARTS]]
        ending = Ending(  # without buttons: this message cannot be changed
            sources=tuple(
                source_of(number, each) for number, each in enumerate(reply.citations, 1)
            ),
            files=(*listed(reply), *unshared(job_id, reply)),
            agent=self._turn.agent,
        )
        looks[-1] = replace(looks[-1], ending=ending)
        if len(texts) > MOST_PARTS:
            more = f"{looks[-1].text}\n\n… `/jobs {job_id}` has the rest."
            looks[-1] = replace(looks[-1], text=more)
        return looks

    def _send(self, part: int, look: Look, *, last: bool) -> None:
        """Send a message. last: whether nothing will take its place."""
        self._journal.begin(part, streaming=False)
        try:
            answer = self._client.send_dict(
                {
                    "response_type": "ephemeral",
                    "replace_original": False,
                    "text": look.plain(),
                    "blocks": look.blocks(),
                }
            )
        except (OSError, ValueError) as error:
            raise ChannelUnavailable(self._address, f"Slack does not answer: {error!r}") from error
        if answer.status_code == 429 or answer.status_code >= 500:
            reason = f"Slack answered {answer.status_code} at the command's response URL"
            raise ChannelUnavailable(self._address, reason)
        if answer.status_code != 200:
            reason = (
                f"Slack takes no more answers to this command ({answer.body[:100]}): it does so "
                f"for 30 minutes. `/jobs {self._turn.job_id}` shows the answer"
            )
            raise ChannelRefused(self._address, reason)
        self._journal.opened(part, f"response-{part}", streaming=False)
        if last:
            self._journal.closed(part)


def _is_member(slack: SlackChannel, place: Address) -> bool:
    """Whether the bot can write where a command was given.

    Raises ChannelUnavailable when Slack does not say.
    """
    try:
        calls = slack.calls_in(place.workspace)
        found = calls(calls.client.conversations_info, channel=place.channel)["channel"]
    except Refused:
        return False  # a channel that it cannot see, or the app may not ask
    except SlackError as error:
        raise as_channel_error(error, str(place)) from error
    return bool(found.get("is_member") or found.get("is_im"))
